#include "attest/ledger/note.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <string>

namespace countersign::ledger {
namespace {

// The example key and note of C2SP signed-note, which are those of Go's
// golang.org/x/mod/sumdb/note.
constexpr const char* kVkey =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr const char* kText =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n";
constexpr const char* kSignatureLine =
    "\xe2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdn"
    "gotpRZb6KE6RyyBwJnAM=\n";

std::string PeterNote() { return std::string(kText) + "\n" + kSignatureLine; }

Result<OpenedNote> Open(const std::string& note,
                        const std::vector<NoteVerifier>& verifiers) {
  return OpenNote(note, verifiers);
}

void ExpectInvalid(const std::string& note,
                   const std::vector<NoteVerifier>& verifiers) {
  const auto opened = OpenNote(note, verifiers);
  ASSERT_FALSE(opened) << note;
  EXPECT_EQ(opened.error().code, ErrorCode::kCheckpointInvalid) << note;
}

class NoteTest : public testing::Test {
 protected:
  LedgerKey key_ = LedgerKey::Generate("log.example/one").value();
  LedgerKey other_ = LedgerKey::Generate("witness.example").value();
  std::string note_ = SignNote("text\n", key_).value();
  std::string line_ = note_.substr(note_.rfind('\n', note_.size() - 2) + 1);
};

TEST(NoteVerifierTest, OpensTheExampleOfGosNotePackage) {
  const auto verifier = NoteVerifier::FromVkey(kVkey);
  ASSERT_TRUE(verifier) << verifier.error().detail;
  EXPECT_EQ(verifier->ToVkey(), kVkey);
  const auto opened = Open(PeterNote(), {*verifier});
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ(opened->text, kText);
  EXPECT_EQ(opened->signers, std::vector<std::string>{"PeterNeumann"});
}

// RFC 8032 §7.1, TEST 2.
TEST(NoteVerifierTest, VerifiesTheVectorOfRfc8032) {
  Ed25519Public key;
  std::ranges::copy(FromHex("3d4017c3e843895a92b70aa74d1b7ebc"
                            "9c982ccf2ec4968cc0cd55f12af4660c")
                        .value(),
                    key.begin());
  Bytes signature =
      FromHex(
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
          .value();
  const auto verifier = NoteVerifier::FromPublicKey("rfc8032", key).value();
  EXPECT_TRUE(verifier.Verify(Bytes{0x72}, signature));
  EXPECT_FALSE(verifier.Verify(Bytes{0x73}, signature));
  signature[0] ^= 1;
  EXPECT_FALSE(verifier.Verify(Bytes{0x72}, signature));
  EXPECT_FALSE(verifier.Verify(Bytes{0x72}, {}));
}

// RFC 8032 §7.1, TEST 2, from its private key.
TEST(LedgerKeyTest, SignsTheVectorOfRfc8032) {
  const std::string pem = "-----BEGIN PRIVATE KEY-----\n" +
                          ToBase64(FromHex("302e020100300506032b657004220420"
                                           "4ccd089b28ff96da9db6c346ec114e0f"
                                           "5b8a319f35aba624da8cf6ed4fb8a6fb")
                                       .value()) +
                          "\n-----END PRIVATE KEY-----\n";
  const auto key = LedgerKey::FromPem("rfc8032", pem);
  ASSERT_TRUE(key);
  EXPECT_EQ(ToHex(key->Sign(Bytes{0x72}).value()),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST(LedgerKeyTest, IsTheSameKeyAfterPem) {
  const auto key = LedgerKey::Generate("log").value();
  const Secret pem = key.ToPem();
  const auto again = LedgerKey::FromPem("log", AsString(pem.Expose()));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->verifier().ToVkey(), key.verifier().ToVkey());
}

TEST(LedgerKeyTest, RejectsOtherKeysAndNames) {
  const EvpPkeyPtr ec(EVP_EC_gen("P-256"));
  const BioPtr bio(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(bio.get(), ec.get(), nullptr, nullptr,
                                          0, nullptr, nullptr),
            1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  const std::string pem(data, static_cast<size_t>(size));
  for (const std::string& bad : {std::string(), std::string("x"), pem}) {
    const auto key = LedgerKey::FromPem("log", bad);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, ErrorCode::kConfigInvalid);
  }
  for (const char* name : {"", "a b", "a+b", "a\nb", "\xc2\xa0", "\xd0\xb0"}) {
    EXPECT_FALSE(LedgerKey::Generate(name)) << name;
  }
}

TEST(NoteVerifierTest, RejectsWhatIsNotAnEd25519Vkey) {
  const std::string good = kVkey;
  for (const std::string& vkey :
       {std::string(), std::string("name"), std::string("name+c74f20a3"),
        "Other" + good, std::string("PeterNeumann+00000000") + good.substr(21),
        std::string("PeterNeumann+c74f20") + good.substr(21), good + "=",
        good.substr(0, good.size() - 4),
        std::string("PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/"
                    "LDE4izWy10TW"),
        ") " + good, good + " "}) {
    const auto verifier = NoteVerifier::FromVkey(vkey);
    ASSERT_FALSE(verifier) << vkey;
    EXPECT_EQ(verifier.error().code, ErrorCode::kConfigInvalid) << vkey;
  }
}

TEST_F(NoteTest, OpensWhatItSigned) {
  const auto opened = Open(note_, {key_.verifier()});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->text, "text\n");
}

TEST_F(NoteTest, IgnoresSignaturesOfUnknownKeys) {
  const std::string both = note_ + SignNote("text\n", other_)->substr(6);
  const auto opened = Open(both, {key_.verifier()});
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ(opened->signers.size(), 1u);
  EXPECT_EQ(Open(both, {key_.verifier(), other_.verifier()})->signers.size(),
            2u);
}

TEST_F(NoteTest, CountsASignatureThatIsThereTwiceOnce) {
  EXPECT_EQ(Open(note_ + line_, {key_.verifier()})->signers.size(), 1u);
}

TEST_F(NoteTest, RejectsANoteThatNoTrustedKeySigned) {
  ExpectInvalid(note_, {other_.verifier()});
  ExpectInvalid(note_, {});
  // Another key under the same name has another ID.
  const auto same_name = LedgerKey::Generate("log.example/one").value();
  ExpectInvalid(note_, {same_name.verifier()});
}

TEST_F(NoteTest, RejectsAChangedText) {
  std::string changed = note_;
  changed[0] = 'T';
  ExpectInvalid(changed, {key_.verifier()});
  ExpectInvalid("x\n" + note_, {key_.verifier()});
}

TEST_F(NoteTest, RejectsAKnownKeysBadSignatureBesideAGoodOne) {
  std::string bad = SignNote("other\n", other_)->substr(7);
  ExpectInvalid(note_ + bad, {key_.verifier(), other_.verifier()});
}

TEST_F(NoteTest, RejectsTextThatIsNotThatOfANote) {
  for (const std::string& text :
       {std::string(), std::string("no newline"), std::string("a\tb\n"),
        std::string("a\r\n"), std::string("\xff\n"),
        std::string("a\0b\n", 4)}) {
    EXPECT_FALSE(SignNote(text, key_));
    ExpectInvalid(text + "\n" + line_, {key_.verifier()});
  }
}

TEST_F(NoteTest, RejectsMalformedSignatureLines) {
  const std::string head = "text\n\n";
  const std::string dash = "\xe2\x80\x94 ";
  for (const std::string& line :
       {std::string(), std::string("\n"), std::string("- name AAAAAAAA\n"),
        dash + "\n", dash + "name\n", dash + "name \n", dash + " AAAAAAAA\n",
        dash + "name AAAAAA==\n", dash + "name AAAAAAAA",
        dash + "n AAAA AAAA\n", dash + "a+b AAAAAAAA\n",
        dash + "name !!!!!!!!\n"}) {
    ExpectInvalid(head + line, {key_.verifier()});
    ExpectInvalid(note_ + line + (line.empty() ? "x" : ""), {key_.verifier()});
  }
}

TEST_F(NoteTest, RejectsMoreThanItsBounds) {
  std::string many = note_;
  for (size_t i = 1; i < kMaxNoteSignatures; ++i) many += line_;
  EXPECT_TRUE(Open(many, {key_.verifier()}));
  ExpectInvalid(many + line_, {key_.verifier()});
  const auto large =
      SignNote(std::string(kMaxNoteSize, 'x') + "\n", key_).value();
  ExpectInvalid(large, {key_.verifier()});
}

}  // namespace
}  // namespace countersign::ledger
