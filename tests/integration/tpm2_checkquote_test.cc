// A second opinion on quotes: tpm2_checkquote may confirm what we accept, and
// never judges, since version 5.4 has two open holes (CVE-2024-29038 and
// -29039) that these tests walk through.

#include <openssl/pem.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "attest/base/digest.h"
#include "attest/verifier/quote_verifier.h"
#include "tests/fails_with.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign {
namespace {

class Tpm2CheckquoteTest : public testing::Test {
 protected:
  Tpm2CheckquoteTest() {
    std::string path =
        (std::filesystem::temp_directory_path() / "checkquote-XXXXXX").string();
    folder_ = mkdtemp(path.data());
    values_.assign(8, Sha256(AsBytes("measured")));
    Bytes all;
    for (const Sha256Digest& value : values_) {
      all.insert(all.end(), value.begin(), value.end());
    }
    fields_.qualified_signer = fakes::QualifiedSigner(ek_, ak_);
    fields_.extra_data = ToBytes(digest_);
    fields_.pcr_digest = ToBytes(Sha256(all));
  }
  ~Tpm2CheckquoteTest() override { std::filesystem::remove_all(folder_); }

  // Whether tpm2_checkquote accepts the quote and the PCR values.
  [[nodiscard]] bool TheyAccept(const tpm::Quote& quote) const {
    Write("quote.msg", quote.attest);
    Write("quote.sig", quote.signature);
    Write("pcrs.bin", PcrFile());
    WritePublicKey();
    const std::string command =
        "cd '" + folder_.string() +
        "' && tpm2_checkquote -u ak.pem -m quote.msg -s quote.sig -f pcrs.bin"
        " -g sha256 -q " +
        ToHex(digest_) + " >log 2>&1";
    return std::system(command.c_str()) == 0;
  }
  [[nodiscard]] Result<verifier::QuotedPcrs> WeSay(
      const tpm::Quote& quote) const {
    return verifier::VerifyQuote(
        quote, values_, ak_.area,
        {.qualifying_data = digest_,
         .qualified_signer = fields_.qualified_signer});
  }

  // What `tpm2_quote --pcr` writes for PCRs 0-7: C structures as they lie in
  // memory.
  [[nodiscard]] Bytes PcrFile() const {
    TPML_PCR_SELECTION selection{};
    selection.count = 1;
    selection.pcrSelections[0].hash = TPM2_ALG_SHA256;
    selection.pcrSelections[0].sizeofSelect = 3;
    selection.pcrSelections[0].pcrSelect[0] = 0xff;
    TPML_DIGEST digests{};
    for (const Sha256Digest& value : values_) {
      TPM2B_DIGEST& digest = digests.digests[digests.count++];
      digest.size = sizeof(value);
      std::ranges::copy(value, digest.buffer);
    }
    const uint32_t lists = 1;
    Bytes file;
    const auto append = [&file](const auto& structure) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(&structure);
      file.insert(file.end(), bytes, bytes + sizeof(structure));
    };
    append(selection);
    append(lists);
    append(digests);
    return file;
  }

  void Write(const char* name, const Bytes& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << AsString(bytes);
  }
  void WritePublicKey() const {
    const BioPtr bio(BIO_new_file((folder_ / "ak.pem").c_str(), "w"));
    ASSERT_EQ(PEM_write_bio_PUBKEY(bio.get(), ak_.area.key()), 1);
  }

  std::filesystem::path folder_;
  const fakes::SoftKey ek_ = fakes::NewEk(tpm::KeyType::kEccP256);
  const fakes::SoftKey ak_ = fakes::NewAk(tpm::KeyType::kEccP256);
  const Sha256Digest digest_ = Sha256(AsBytes("a statement"));
  std::vector<Sha256Digest> values_;
  fakes::AttestFields fields_;
};

TEST_F(Tpm2CheckquoteTest, AcceptsWhatWeAccept) {
  const tpm::Quote quote = fakes::SignAttest(ak_, fields_);
  EXPECT_TRUE(TheyAccept(quote));
  EXPECT_TRUE(Succeeds(WeSay(quote)));
}

TEST_F(Tpm2CheckquoteTest, RejectsAnotherStatementAsWeDo) {
  fields_.extra_data.front() ^= 1;
  const tpm::Quote quote = fakes::SignAttest(ak_, fields_);
  EXPECT_FALSE(TheyAccept(quote));
  EXPECT_TRUE(FailsWith(WeSay(quote), ErrorCode::kDigestMismatch));
}

// A01, CVE-2024-29038: bytes that no TPM made, signed by a key that signs
// anything.
TEST_F(Tpm2CheckquoteTest, AcceptsAnotherMagicThatWeReject) {
  fields_.magic = 0x12345678;
  const tpm::Quote quote = fakes::SignAttest(ak_, fields_);
  EXPECT_TRUE(FailsWith(WeSay(quote), ErrorCode::kQuoteNotTpmGenerated));
  if (!TheyAccept(quote)) GTEST_SKIP() << "this version closed the hole";
}

// A02, CVE-2024-29039: PCR 16 and its like, which anyone may set, quoted in
// place of PCRs 0-7.
TEST_F(Tpm2CheckquoteTest, AcceptsOtherPcrsThatWeReject) {
  fields_.selection = tpm::PcrSelection::FromText("sha256:16-23")->Encode();
  const tpm::Quote quote = fakes::SignAttest(ak_, fields_);
  EXPECT_TRUE(FailsWith(WeSay(quote), ErrorCode::kPcrSelectionMismatch));
  if (!TheyAccept(quote)) GTEST_SKIP() << "this version closed the hole";
}

}  // namespace
}  // namespace countersign
