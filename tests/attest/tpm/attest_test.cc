#include "attest/tpm/attest.h"

#include "tests/fails_with.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::tpm {
namespace {

using fakes::AttestFields;
using fakes::EncodeAttest;

AttestFields SomeQuote() {
  return {.qualified_signer = Bytes(34, 1),
          .extra_data = Bytes(32, 2),
          .clock = {7, 8, 9, true},
          .firmware_version = 10,
          .pcr_digest = Bytes(32, 3)};
}

AttestFields SomeCertification() {
  AttestFields fields = SomeQuote();
  fields.type = kStAttestCertify;
  fields.name = Bytes(34, 4);
  fields.qualified_name = Bytes(34, 5);
  return fields;
}

TEST(ParseAttestTest, ReadsAQuote) {
  const auto attest = ParseAttest(EncodeAttest(SomeQuote()));
  ASSERT_TRUE(Succeeds(attest));
  EXPECT_EQ(attest->qualified_signer, Bytes(34, 1));
  EXPECT_EQ(attest->extra_data, Bytes(32, 2));
  EXPECT_EQ(attest->clock, (TpmClock{7, 8, 9, true}));
  EXPECT_EQ(attest->firmware_version, 10u);
  ASSERT_NE(attest->quote(), nullptr);
  EXPECT_EQ(attest->certify(), nullptr);
  EXPECT_EQ(attest->quote()->selection,
            (std::vector<PcrBank>{{kAlgSha256, 0xff}}));
  EXPECT_EQ(attest->quote()->pcr_digest, Bytes(32, 3));
}

TEST(ParseAttestTest, ReadsACertification) {
  const auto attest = ParseAttest(EncodeAttest(SomeCertification()));
  ASSERT_TRUE(Succeeds(attest));
  EXPECT_EQ(attest->quote(), nullptr);
  ASSERT_NE(attest->certify(), nullptr);
  EXPECT_EQ(attest->certify()->name, Bytes(34, 4));
  EXPECT_EQ(attest->certify()->qualified_name, Bytes(34, 5));
}

TEST(ParseAttestTest, RejectsATruncationAtEveryByte) {
  for (const Bytes& whole :
       {EncodeAttest(SomeQuote()), EncodeAttest(SomeCertification())}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_TRUE(FailsWith(ParseAttest(ByteSpan(whole).first(size)),
                            ErrorCode::kMalformedEvidence))
          << size;
    }
  }
}

TEST(ParseAttestTest, RejectsBytesLeftOver) {
  for (Bytes bytes :
       {EncodeAttest(SomeQuote()), EncodeAttest(SomeCertification())}) {
    bytes.push_back(0);
    EXPECT_TRUE(FailsWith(ParseAttest(bytes), ErrorCode::kMalformedEvidence));
  }
}

TEST(ParseAttestTest, RejectsMoreThanItsBound) {
  EXPECT_TRUE(FailsWith(ParseAttest(Bytes(kMaxAttestSize + 1)),
                        ErrorCode::kMalformedEvidence));
}

// A01
TEST(ParseAttestTest, RejectsAnotherMagic) {
  AttestFields fields = SomeQuote();
  fields.magic = 0xff544346;
  EXPECT_TRUE(FailsWith(ParseAttest(EncodeAttest(fields)),
                        ErrorCode::kQuoteNotTpmGenerated));
}

TEST(ParseAttestTest, RejectsAnotherType) {
  AttestFields fields = SomeQuote();
  fields.type = 0x8019;  // TPM_ST_ATTEST_TIME... has another body.
  EXPECT_TRUE(
      FailsWith(ParseAttest(EncodeAttest(fields)), ErrorCode::kNotAQuote));
}

TEST(ParseAttestTest, RejectsAFlagThatIsNeitherYesNorNo) {
  Bytes bytes = EncodeAttest(SomeQuote());
  const size_t safe = 4 + 2 + 2 + 34 + 2 + 32 + 8 + 4 + 4;
  ASSERT_EQ(bytes[safe], 1);
  bytes[safe] = 2;
  EXPECT_TRUE(FailsWith(ParseAttest(bytes), ErrorCode::kMalformedEvidence));
}

TEST(ParseAttestTest, RejectsFieldsOverTheirBounds) {
  AttestFields signer = SomeQuote();
  signer.qualified_signer = Bytes(67);
  AttestFields extra = SomeQuote();
  extra.extra_data = Bytes(67);
  AttestFields digest = SomeQuote();
  digest.pcr_digest = Bytes(65);
  for (const AttestFields& fields : {signer, extra, digest}) {
    EXPECT_TRUE(FailsWith(ParseAttest(EncodeAttest(fields)),
                          ErrorCode::kMalformedEvidence));
  }
}

}  // namespace
}  // namespace countersign::tpm
