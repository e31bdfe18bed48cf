#include "attest/verifier/quote_verifier.h"

#include "attest/verifier/tpm_clock_check.h"
#include "tests/attest/verifier/evidence.h"
#include "tests/fails_with.h"

namespace countersign::verifier {
namespace {

class VerifyQuoteTest : public testing::Test {
 protected:
  VerifyQuoteTest() {
    statement_digest_.fill(7);
    fields_ = device_.QuoteFields(statement_digest_);
    claimed_ = device_.PcrValues();
  }

  Result<QuotedPcrs> Verify(const tpm::Quote& quote) const {
    return VerifyQuote(
        quote, claimed_, device_.ak.area,
        {.qualifying_data = statement_digest_,
         .qualified_signer = fakes::QualifiedSigner(device_.ek, device_.ak),
         .selection = selection_});
  }
  void ExpectRefused(ErrorCode code) const {
    EXPECT_TRUE(
        FailsWith(Verify(fakes::SignAttest(device_.ak, fields_)), code));
  }
  // Quotes these values as if they were the PCRs'.
  void QuoteValues(const std::vector<Sha256Digest>& values) {
    claimed_ = values;
    Bytes all;
    for (const Sha256Digest& value : values) {
      all.insert(all.end(), value.begin(), value.end());
    }
    fields_.pcr_digest = ToBytes(Sha256(all));
  }

  const Device& device_ = SharedDevice();
  Sha256Digest statement_digest_{};
  fakes::AttestFields fields_;
  std::vector<Sha256Digest> claimed_;
  tpm::PcrSelection selection_ = tpm::PcrSelection::Default();
};

TEST_F(VerifyQuoteTest, AcceptsAGoodQuote) {
  const tpm::Quote quote = fakes::SignAttest(device_.ak, fields_);
  const auto pcrs = Verify(quote);
  ASSERT_TRUE(Succeeds(pcrs));
  EXPECT_EQ(pcrs->attest_sha256(), Sha256(quote.attest));
  EXPECT_EQ(pcrs->clock(), device_.clock);
  EXPECT_EQ(pcrs->firmware_version(), fields_.firmware_version);
  EXPECT_EQ(pcrs->values(), claimed_);
  EXPECT_EQ(pcrs->selection(), selection_);
  EXPECT_EQ(ToBytes(pcrs->pcr_digest()), fields_.pcr_digest);
}

TEST_F(VerifyQuoteTest, AcceptsAQuoteByAnRsaAk) {
  const Device device(tpm::KeyType::kRsa2048);
  const auto pcrs = VerifyQuote(
      fakes::SignAttest(device.ak, device.QuoteFields(statement_digest_)),
      device.PcrValues(), device.ak.area,
      {.qualifying_data = statement_digest_,
       .qualified_signer = fakes::QualifiedSigner(device.ek, device.ak)});
  EXPECT_TRUE(Succeeds(pcrs));
}

// A01
TEST_F(VerifyQuoteTest, RejectsAQuoteWithAnotherMagic) {
  fields_.magic = 0x00000000;
  ExpectRefused(ErrorCode::kQuoteNotTpmGenerated);
}

TEST_F(VerifyQuoteTest, RejectsACertificationPassedOffAsAQuote) {
  fields_.type = tpm::kStAttestCertify;
  // Name and Qualified Name chosen so that both structures are equally long.
  fields_.name = Bytes(10);
  fields_.qualified_name = Bytes(30);
  const tpm::Quote certification = fakes::SignAttest(device_.ak, fields_);
  EXPECT_TRUE(FailsWith(Verify(certification), ErrorCode::kNotAQuote));
}

TEST_F(VerifyQuoteTest, RejectsBytesLeftOver) {
  tpm::Quote quote = fakes::SignAttest(device_.ak, fields_);
  quote.attest.push_back(0);
  // Signed by the AK all the same.
  quote.signature = fakes::Sign(device_.ak, quote.attest);
  EXPECT_TRUE(FailsWith(Verify(quote), ErrorCode::kMalformedEvidence));
}

TEST_F(VerifyQuoteTest, RejectsAQuoteOverAnotherStatement) {
  fields_.extra_data.front() ^= 1;
  ExpectRefused(ErrorCode::kDigestMismatch);
}

TEST_F(VerifyQuoteTest, RejectsExtraDataOfAnotherSize) {
  fields_.extra_data.pop_back();
  ExpectRefused(ErrorCode::kDigestMismatch);
  fields_.extra_data = ToBytes(statement_digest_);
  fields_.extra_data.push_back(0);
  ExpectRefused(ErrorCode::kDigestMismatch);
  fields_.extra_data.clear();
  ExpectRefused(ErrorCode::kDigestMismatch);
}

// A11
TEST_F(VerifyQuoteTest, RejectsAQuoteThatNamesAnotherSigner) {
  fields_.qualified_signer.back() ^= 1;
  ExpectRefused(ErrorCode::kAkNotBound);
}

// A11: another device's AK that claims the Qualified Signer of this one.
TEST_F(VerifyQuoteTest, RejectsAQuoteByAnotherAk) {
  const fakes::SoftKey other = fakes::NewAk(tpm::KeyType::kEccP256);
  EXPECT_TRUE(FailsWith(Verify(fakes::SignAttest(other, fields_)),
                        ErrorCode::kBadSignature));
}

TEST_F(VerifyQuoteTest, RejectsAChangeOfAnySignedByte) {
  const tpm::Quote quote = fakes::SignAttest(device_.ak, fields_);
  for (size_t i = 0; i < quote.attest.size(); ++i) {
    tpm::Quote changed = quote;
    changed.attest[i] ^= 1;
    EXPECT_FALSE(Verify(changed).has_value()) << i;
  }
}

// A02
TEST_F(VerifyQuoteTest, RejectsAQuoteOverFewerPcrs) {
  fields_.selection = tpm::PcrSelection::FromText("sha256:0-6")->Encode();
  ExpectRefused(ErrorCode::kPcrSelectionMismatch);
}

// A03
TEST_F(VerifyQuoteTest, RejectsAnEmptySelection) {
  fields_.selection = Bytes(4);
  fields_.pcr_digest = ToBytes(Sha256(Bytes{}));
  claimed_.clear();
  ExpectRefused(ErrorCode::kPcrSelectionMismatch);
}

// A04
TEST_F(VerifyQuoteTest, RejectsTheSha1Bank) {
  fields_.selection = FromHex("00000001000403ff0000").value();
  ExpectRefused(ErrorCode::kPcrSelectionMismatch);
}

// A04
TEST_F(VerifyQuoteTest, AcceptsABitmapOfFourBytes) {
  fields_.selection = FromHex("00000001000b04ff000000").value();
  EXPECT_TRUE(Succeeds(Verify(fakes::SignAttest(device_.ak, fields_))));
}

// A05
TEST_F(VerifyQuoteTest, RejectsClaimedValuesThatWereNotQuoted) {
  claimed_[4].front() ^= 1;
  ExpectRefused(ErrorCode::kPcrDigestMismatch);
}

// A05
TEST_F(VerifyQuoteTest, RejectsAnotherNumberOfValues) {
  std::vector<Sha256Digest> fewer(claimed_.begin(), claimed_.end() - 1);
  QuoteValues(fewer);
  ExpectRefused(ErrorCode::kPcrDigestMismatch);
  claimed_.clear();
  ExpectRefused(ErrorCode::kPcrDigestMismatch);
}

// A06
TEST_F(VerifyQuoteTest, RejectsABankThatFirmwareNeverExtended) {
  Sha256Digest zeros{};
  Sha256Digest ones{};
  ones.fill(0xff);
  Sha256Digest locality{};
  locality.back() = 3;
  std::vector<Sha256Digest> values(8, zeros);
  QuoteValues(values);
  ExpectRefused(ErrorCode::kPcrBankUnmeasured);
  values[1] = ones;
  values[0] = locality;
  QuoteValues(values);
  ExpectRefused(ErrorCode::kPcrBankUnmeasured);
  values[7].front() = 1;
  QuoteValues(values);
  EXPECT_TRUE(Succeeds(Verify(fakes::SignAttest(device_.ak, fields_))));
}

// A25: both signatures verify, and both are one proof.
TEST_F(VerifyQuoteTest, GivesTheTwinSignatureTheSameReplayKey) {
  const tpm::Quote quote = fakes::SignAttest(device_.ak, fields_);
  tpm::Quote twin = quote;
  twin.signature = fakes::TwinSignature(quote.signature);
  ASSERT_NE(twin.signature, quote.signature);
  const auto first = Verify(quote);
  const auto second = Verify(twin);
  ASSERT_TRUE(Succeeds(first));
  ASSERT_TRUE(Succeeds(second));
  EXPECT_EQ(first->attest_sha256(), second->attest_sha256());
}

TEST(CheckNotBeforeTest, AcceptsTheSameOrLater) {
  const tpm::TpmClock last{1000, 5, 2, true};
  for (const tpm::TpmClock& now :
       {last, tpm::TpmClock{1001, 5, 2, true}, tpm::TpmClock{1000, 5, 3, true},
        // After a reset the clock itself may go back.
        tpm::TpmClock{10, 6, 0, false}}) {
    EXPECT_TRUE(Succeeds(CheckNotBefore(last, now)));
  }
}

// A07
TEST(CheckNotBeforeTest, RejectsWhatLiesBefore) {
  const tpm::TpmClock last{1000, 5, 2, true};
  for (const tpm::TpmClock& now :
       {tpm::TpmClock{999, 5, 2, true}, tpm::TpmClock{2000, 5, 1, true},
        tpm::TpmClock{2000, 4, 9, true}}) {
    EXPECT_TRUE(
        FailsWith(CheckNotBefore(last, now), ErrorCode::kTpmClockRollback));
  }
}

// A08
TEST(CheckSameBootTest, RejectsAnyOtherBootOrResume) {
  const tpm::TpmClock session{1000, 5, 2, true};
  EXPECT_TRUE(Succeeds(CheckSameBoot(session, {9000, 5, 2, true})));
  for (const tpm::TpmClock& now :
       {tpm::TpmClock{2000, 6, 2, true}, tpm::TpmClock{2000, 5, 3, true},
        tpm::TpmClock{2000, 4, 2, true}}) {
    EXPECT_TRUE(FailsWith(CheckSameBoot(session, now), ErrorCode::kStaleBoot));
  }
}

}  // namespace
}  // namespace countersign::verifier
