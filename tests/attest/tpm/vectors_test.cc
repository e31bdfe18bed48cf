// What others compute or make: Names by hashlib (vectors.json), keys, quotes
// and certifications by a TPM and tpm2-tools (tests/vectors/tpm).

#include "attest/base/digest.h"
#include "attest/tpm/attest.h"
#include "attest/tpm/event_log.h"
#include "attest/tpm/key_strength.h"
#include "attest/tpm/public_area.h"
#include "attest/tpm/signature.h"
#include "attest/tpm/templates.h"
#include "tests/fails_with.h"
#include "tests/vectors/load_tpm_vector.h"
#include "tests/vectors/load_vectors.h"

namespace countersign::tpm {
namespace {

TEST(NameVectorsTest, QualifiedNamesAreThoseThatHashlibComputes) {
  const auto vectors = LoadVectors()["names"];
  ASSERT_FALSE(vectors.empty());
  for (const auto& vector : vectors) {
    const Bytes ek_name = Unhex(vector["ek_name"]);
    const auto ek = QualifiedNameOfPrimary(kRhEndorsement, ek_name);
    ASSERT_TRUE(Succeeds(ek));
    EXPECT_EQ(*ek, Unhex(vector["ek_qualified_name"]));
    const auto ak = QualifiedName(*ek, Unhex(vector["ak_name"]));
    ASSERT_TRUE(Succeeds(ak));
    EXPECT_EQ(*ak, Unhex(vector["ak_qualified_name"]));
  }
}

class TpmVectorsTest : public testing::TestWithParam<std::string> {
 protected:
  static Bytes Load(const std::string& prefix, const std::string& suffix) {
    return LoadTpmVector(prefix + "-" + GetParam() + suffix);
  }
  static PublicArea Area(const std::string& prefix) {
    return PublicArea::Parse(LoadTpm2b(prefix + "-" + GetParam() + ".pub"))
        .value();
  }
};

INSTANTIATE_TEST_SUITE_P(Keys, TpmVectorsTest, testing::Values("ecc", "rsa"),
                         [](const auto& test) { return test.param; });

TEST_P(TpmVectorsTest, EksHaveTheTcgTemplates) {
  const PublicArea ek = Area("ek");
  const Bytes expected =
      EkTemplate(GetParam() == "rsa" ? KeyType::kRsa2048 : KeyType::kEccP256);
  ASSERT_EQ(ek.bytes().size(), expected.size());
  // Up to the unique part, which is the key.
  const size_t unique = GetParam() == "rsa" ? 256 : 2 + 32 + 32;
  EXPECT_TRUE(Equal(ByteSpan(ek.bytes()).first(expected.size() - unique),
                    ByteSpan(expected).first(expected.size() - unique)));
  EXPECT_TRUE(Succeeds(CheckKeyStrength(ek.key())));
}

TEST_P(TpmVectorsTest, AksHaveOurTemplate) {
  const PublicArea ak = Area("ak");
  EXPECT_EQ(ak.attributes(), kAkAttributes);
  const Bytes expected =
      AkTemplate(GetParam() == "rsa" ? KeyType::kRsa2048 : KeyType::kEccP256);
  // Up to the sizes of the unique part.
  const size_t head = expected.size() - (GetParam() == "rsa" ? 2 : 4);
  EXPECT_TRUE(
      Equal(ByteSpan(ak.bytes()).first(head), ByteSpan(expected).first(head)));
}

TEST_P(TpmVectorsTest, NamesAreThoseThatTheTpmReports) {
  const PublicArea ak = Area("ak");
  EXPECT_EQ(ak.name(), Load("ak", ".name"));
  const auto ek_name =
      QualifiedNameOfPrimary(kRhEndorsement, Area("ek").name());
  ASSERT_TRUE(Succeeds(ek_name));
  const auto qualified = QualifiedName(*ek_name, ak.name());
  ASSERT_TRUE(Succeeds(qualified));
  EXPECT_EQ(*qualified, Load("ak", ".qname"));
}

TEST_P(TpmVectorsTest, QuotesParseAndVerify) {
  const Bytes message = Load("quote", ".msg");
  const auto attest = ParseAttest(message);
  ASSERT_TRUE(Succeeds(attest));
  EXPECT_EQ(attest->qualified_signer, Load("ak", ".qname"));
  EXPECT_EQ(attest->extra_data, ToBytes(Sha256(AsBytes("what was quoted"))));
  ASSERT_NE(attest->quote(), nullptr);
  EXPECT_TRUE(PcrSelection::Default().Matches(attest->quote()->selection));
  EXPECT_EQ(attest->quote()->pcr_digest,
            ToBytes(Sha256(Load("quote", ".pcrs"))));
  EXPECT_TRUE(
      Succeeds(VerifySignature(Area("ak"), message, Load("quote", ".sig"))));
}

TEST_P(TpmVectorsTest, TheEventLogReplaysToThePcrs) {
  const Bytes bytes = LoadTpmVector("eventlog.bin");
  const auto log = EventLog::Parse(bytes);
  ASSERT_TRUE(Succeeds(log));
  const PcrValues values = log->Replay();
  Bytes boot;
  for (int pcr = 0; pcr <= 7; ++pcr) {
    boot.insert(boot.end(), values[pcr].begin(), values[pcr].end());
  }
  EXPECT_EQ(boot, Load("quote", ".pcrs"));
}

TEST(TpmVectorsTest, CertificationsParseAndVerify) {
  const Bytes message = LoadTpmVector("certify.msg");
  const auto attest = ParseAttest(message);
  ASSERT_TRUE(Succeeds(attest));
  ASSERT_NE(attest->certify(), nullptr);
  const auto key = PublicArea::Parse(LoadTpm2b("session.pub"));
  ASSERT_TRUE(Succeeds(key));
  EXPECT_EQ(key->attributes(), kSessionKeyAttributes);
  EXPECT_EQ(attest->certify()->name, key->name());
  EXPECT_EQ(attest->certify()->qualified_name, LoadTpmVector("session.qname"));
  EXPECT_EQ(attest->certify()->qualified_name,
            QualifiedNameOfPrimary(kRhNull, key->name()).value());
  const auto ak = PublicArea::Parse(LoadTpm2b("ak-ecc.pub"));
  EXPECT_TRUE(
      Succeeds(VerifySignature(*ak, message, LoadTpmVector("certify.sig"))));
}

}  // namespace
}  // namespace countersign::tpm
