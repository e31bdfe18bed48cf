// Evidence of a real (software) TPM, made with tpm2-tools: tests/vectors/tpm.

#include "attest/base/digest.h"
#include "attest/verifier/ak_verifier.h"
#include "attest/verifier/ek_chain_verifier.h"
#include "attest/verifier/event_log_verifier.h"
#include "attest/verifier/quote_verifier.h"
#include "tests/fails_with.h"
#include "tests/vectors/load_tpm_vector.h"

namespace countersign::verifier {
namespace {

constexpr int64_t kYear2100Ms = 4'102'444'800'000;

class TpmEvidenceTest : public testing::TestWithParam<std::string> {
 protected:
  static tpm::PublicArea Area(const std::string& prefix) {
    return tpm::PublicArea::Parse(LoadTpm2b(prefix + GetParam() + ".pub"))
        .value();
  }
  static std::vector<Sha256Digest> PcrValues() {
    const Bytes bytes = LoadTpmVector("quote-" + GetParam() + ".pcrs");
    std::vector<Sha256Digest> values;
    for (size_t at = 0; at < bytes.size(); at += 32) {
      values.push_back(
          DigestFrom(ByteSpan(bytes).subspan(at, 32), "PCR").value());
    }
    return values;
  }
  // A quote from the files quote-KIND.msg and .sig.
  Result<QuotedPcrs> Verify(const std::string& kind) const {
    return VerifyQuote(
        {LoadTpmVector("quote-" + kind + ".msg"),
         LoadTpmVector("quote-" + kind + ".sig")},
        PcrValues(), ak_,
        {.qualifying_data = Sha256(AsBytes("what was quoted")),
         .qualified_signer = ExpectedQualifiedSigner(ek_, ak_).value()});
  }

  const tpm::PublicArea ek_ = Area("ek-");
  const tpm::PublicArea ak_ = Area("ak-");
};

INSTANTIATE_TEST_SUITE_P(Keys, TpmEvidenceTest, testing::Values("ecc", "rsa"),
                         [](const auto& test) { return test.param; });

TEST_P(TpmEvidenceTest, KeysAreAccepted) {
  EXPECT_TRUE(Succeeds(CheckEk(ek_)));
  EXPECT_TRUE(Succeeds(CheckAk(ak_)));
}

TEST_P(TpmEvidenceTest, QuoteAndEventLogAreAccepted) {
  const auto pcrs = Verify(GetParam());
  ASSERT_TRUE(Succeeds(pcrs));
  EXPECT_TRUE(Succeeds(VerifyEventLog(LoadTpmVector("eventlog.bin"), *pcrs)));
}

TEST_P(TpmEvidenceTest, EkCertificateLeadsToItsManufacturer) {
  const std::vector<Bytes> roots = {LoadTpmVector("root.crt")};
  const auto trust = EkTrust::FromDer(roots, {});
  ASSERT_TRUE(Succeeds(trust));
  const std::vector<Bytes> chain = {LoadTpmVector("ek-" + GetParam() + ".crt"),
                                    LoadTpmVector("ca.crt")};
  const auto identity = VerifyEkChain(ek_, chain, *trust, kYear2100Ms);
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->root_subject, "CN=swtpm-localca-rootca");
  EXPECT_EQ(identity->manufacturer, "id:00001014");
  EXPECT_EQ(identity->model, "swtpm");
}

// A11
TEST_P(TpmEvidenceTest, AQuoteByTheOtherAkIsRefused) {
  const std::string other = GetParam() == "ecc" ? "rsa" : "ecc";
  EXPECT_TRUE(FailsWith(Verify(other), ErrorCode::kAkNotBound));
}

// A04
TEST(TpmEvidenceTest, AQuoteOverTheSha1BankIsRefused) {
  const auto area = [](const char* name) {
    return tpm::PublicArea::Parse(LoadTpm2b(name)).value();
  };
  const tpm::PublicArea ak = area("ak-ecc.pub");
  EXPECT_TRUE(FailsWith(
      VerifyQuote(
          {LoadTpmVector("quote-sha1.msg"), LoadTpmVector("quote-sha1.sig")},
          std::vector<Sha256Digest>(8), ak,
          {.qualifying_data = Sha256(AsBytes("what was quoted")),
           .qualified_signer =
               ExpectedQualifiedSigner(area("ek-ecc.pub"), ak).value()}),
      ErrorCode::kPcrSelectionMismatch));
}

}  // namespace
}  // namespace countersign::verifier
