#include "tests/platform/tpm_contract.h"

#include "attest/base/digest.h"
#include "attest/tpm/attest.h"
#include "attest/tpm/make_credential.h"
#include "attest/tpm/signature.h"
#include "tests/fails_with.h"

namespace countersign::platform {
namespace {

const tpm::PcrSelection kBoot = tpm::PcrSelection::Default();

Sha256Digest DigestOf(std::string_view text) { return Sha256(AsBytes(text)); }

Sha256Digest DigestOfValues(const std::vector<Sha256Digest>& values) {
  Bytes all;
  for (const auto& value : values) {
    all.insert(all.end(), value.begin(), value.end());
  }
  return Sha256(all);
}

}  // namespace

void TpmContractTest::SetUp() {
  under_test_ = GetParam().make();
  auth_ = Secret(RandomBytes(32));
}

EndorsementKey TpmContractTest::EkUnderTest() {
  const auto keys = tpm().EndorsementKeys();
  EXPECT_TRUE(Succeeds(keys));
  for (const EndorsementKey& key : *keys) {
    if (key.type == GetParam().ek_type) return key;
  }
  ADD_FAILURE() << "no EK of the type under test";
  return keys->front();
}

AkBlob TpmContractTest::EnrolledAk() {
  const auto blob = tpm().CreateAk(EkUnderTest(), GetParam().ak_type, auth_);
  EXPECT_TRUE(Succeeds(blob));
  const Status loaded = tpm().LoadAk(*blob, auth_);
  EXPECT_TRUE(Succeeds(loaded));
  return *blob;
}

TEST_P(TpmContractTest, HasTheSameEndorsementKeysEachTime) {
  const EndorsementKey first = EkUnderTest();
  under_test_->Reboot();
  const EndorsementKey second = EkUnderTest();
  EXPECT_EQ(first.public_area.name(), second.public_area.name());
  EXPECT_EQ(first.certificates, second.certificates);
  EXPECT_EQ(first.public_area.attributes(), tpm::kEkAttributes);
}

TEST_P(TpmContractTest, CreatesAkFromTheTemplate) {
  const auto blob = tpm().CreateAk(EkUnderTest(), GetParam().ak_type, auth_);
  ASSERT_TRUE(Succeeds(blob));
  const auto area = tpm::PublicArea::Parse(blob->public_area);
  ASSERT_TRUE(area.has_value());
  EXPECT_EQ(area->attributes(), tpm::kAkAttributes);
  EXPECT_EQ(blob->parent_name, EkUnderTest().public_area.name());
  EXPECT_EQ(blob->type, GetParam().ak_type);
}

TEST_P(TpmContractTest, QuotesTheDigestAndThePcrs) {
  const AkBlob blob = EnrolledAk();
  const Sha256Digest digest = DigestOf("statement");
  const auto quoted = tpm().QuoteAk(digest, kBoot);
  ASSERT_TRUE(Succeeds(quoted));

  const auto ak = tpm::PublicArea::Parse(blob.public_area);
  EXPECT_TRUE(
      tpm::VerifySignature(*ak, quoted->quote.attest, quoted->quote.signature)
          .has_value());
  const auto attest = tpm::ParseAttest(quoted->quote.attest);
  ASSERT_TRUE(attest.has_value());
  ASSERT_NE(attest->quote(), nullptr);
  EXPECT_TRUE(Equal(attest->extra_data, digest));
  EXPECT_TRUE(kBoot.Matches(attest->quote()->selection));
  EXPECT_EQ(quoted->pcr_values.size(), 8u);
  EXPECT_TRUE(
      Equal(attest->quote()->pcr_digest, DigestOfValues(quoted->pcr_values)));

  const auto ek_name = EkUnderTest().public_area.name();
  const auto ek_qualified =
      tpm::QualifiedNameOfPrimary(tpm::kRhEndorsement, ek_name);
  const auto signer = tpm::QualifiedName(*ek_qualified, ak->name());
  EXPECT_EQ(attest->qualified_signer, *signer);
}

TEST_P(TpmContractTest, QuotesMorePcrsThanOneReadReturns) {
  EnrolledAk();
  const auto all = tpm::PcrSelection::FromText("sha256:0-23");
  const auto quoted = tpm().QuoteAk(DigestOf("x"), *all);
  ASSERT_TRUE(Succeeds(quoted));
  EXPECT_EQ(quoted->pcr_values.size(), 24u);
}

TEST_P(TpmContractTest, QuotesNewValuesAfterAPcrWasExtended) {
  EnrolledAk();
  const auto before = tpm().QuoteAk(DigestOf("x"), kBoot);
  under_test_->ExtendPcr(4);
  const auto after = tpm().QuoteAk(DigestOf("x"), kBoot);
  ASSERT_TRUE(before.has_value() && after.has_value());
  EXPECT_EQ(before->pcr_values[3], after->pcr_values[3]);
  EXPECT_NE(before->pcr_values[4], after->pcr_values[4]);
}

TEST_P(TpmContractTest, RejectsQuoteWithoutAk) {
  EXPECT_TRUE(
      FailsWith(tpm().QuoteAk(DigestOf("x"), kBoot), ErrorCode::kNotEnrolled));
}

TEST_P(TpmContractTest, RejectsQuoteAfterTheAkWasForgotten) {
  EnrolledAk();
  EXPECT_TRUE(Succeeds(tpm().ForgetAk()));
  EXPECT_TRUE(
      FailsWith(tpm().QuoteAk(DigestOf("x"), kBoot), ErrorCode::kNotEnrolled));
}

TEST_P(TpmContractTest, LoadsAnAkAgainAfterItWasForgotten) {
  const AkBlob blob = EnrolledAk();
  ASSERT_TRUE(Succeeds(tpm().ForgetAk()));
  ASSERT_TRUE(Succeeds(tpm().LoadAk(blob, auth_)));
  EXPECT_TRUE(Succeeds(tpm().QuoteAk(DigestOf("x"), kBoot)));
}

TEST_P(TpmContractTest, RejectsQuoteWithAWrongAuthorisationValue) {
  const auto blob = tpm().CreateAk(EkUnderTest(), GetParam().ak_type, auth_);
  ASSERT_TRUE(blob.has_value());
  const Status loaded = tpm().LoadAk(*blob, Secret(RandomBytes(32)));
  ASSERT_TRUE(Succeeds(loaded));
  EXPECT_TRUE(FailsWith(tpm().QuoteAk(DigestOf("x"), kBoot),
                        ErrorCode::kTpmCommandFailed));
}

// A54
TEST_P(TpmContractTest, RejectsAkOfAnotherTpm) {
  const AkBlob blob = EnrolledAk();
  const auto other = GetParam().make_other();
  EXPECT_TRUE(FailsWith(other->tpm().LoadAk(blob, auth_),
                        ErrorCode::kStateBelongsToOtherTpm));
  EXPECT_TRUE(FailsWith(other->tpm().QuoteAk(DigestOf("x"), kBoot),
                        ErrorCode::kNotEnrolled));
}

// A54: not even when the blob claims to be of this TPM's EK.
TEST_P(TpmContractTest, RejectsDamagedAk) {
  const auto blob = tpm().CreateAk(EkUnderTest(), GetParam().ak_type, auth_);
  ASSERT_TRUE(blob.has_value());
  AkBlob damaged = *blob;
  damaged.private_area.resize(damaged.private_area.size() / 2);
  EXPECT_TRUE(FailsWith(tpm().LoadAk(damaged, auth_),
                        ErrorCode::kStateBelongsToOtherTpm));
}

TEST_P(TpmContractTest, ActivatesACredentialForItsAk) {
  const AkBlob blob = EnrolledAk();
  const auto ak = tpm::PublicArea::Parse(blob.public_area);
  const Secret secret(RandomBytes(32));
  const auto credential =
      tpm::MakeCredential(EkUnderTest().public_area, ak->name(), secret);
  ASSERT_TRUE(Succeeds(credential));
  const auto opened = tpm().ActivateCredential(credential->id_object,
                                               credential->encrypted_secret);
  ASSERT_TRUE(Succeeds(opened));
  EXPECT_TRUE(Equal(opened->Expose(), secret.Expose()));
}

TEST_P(TpmContractTest, RejectsCredentialForAnotherAk) {
  EnrolledAk();
  const auto other = tpm().CreateAk(EkUnderTest(), GetParam().ak_type, auth_);
  const auto area = tpm::PublicArea::Parse(other->public_area);
  const auto credential = tpm::MakeCredential(
      EkUnderTest().public_area, area->name(), Secret(RandomBytes(32)));
  EXPECT_TRUE(FailsWith(tpm().ActivateCredential(credential->id_object,
                                                 credential->encrypted_secret),
                        ErrorCode::kCredentialActivationFailed));
}

TEST_P(TpmContractTest, RejectsCredentialThatWasChanged) {
  const AkBlob blob = EnrolledAk();
  const auto ak = tpm::PublicArea::Parse(blob.public_area);
  auto credential = tpm::MakeCredential(EkUnderTest().public_area, ak->name(),
                                        Secret(RandomBytes(32)));
  credential->id_object.back() ^= 1;
  EXPECT_TRUE(FailsWith(tpm().ActivateCredential(credential->id_object,
                                                 credential->encrypted_secret),
                        ErrorCode::kCredentialActivationFailed));
  credential->id_object.back() ^= 1;
  credential->encrypted_secret.back() ^= 1;
  EXPECT_TRUE(FailsWith(tpm().ActivateCredential(credential->id_object,
                                                 credential->encrypted_secret),
                        ErrorCode::kCredentialActivationFailed));
}

TEST_P(TpmContractTest, QuotesAgainAfterAReboot) {  // F12
  EnrolledAk();
  const auto before = tpm().QuoteAk(DigestOf("x"), kBoot);
  under_test_->Reboot();
  const auto after = tpm().QuoteAk(DigestOf("x"), kBoot);
  ASSERT_TRUE(Succeeds(after));
  EXPECT_EQ(before->pcr_values, after->pcr_values);
  const auto first = tpm::ParseAttest(before->quote.attest);
  const auto second = tpm::ParseAttest(after->quote.attest);
  EXPECT_LT(first->clock.reset_count, second->clock.reset_count);
}

TEST_P(TpmContractTest, SignsWithASessionKey) {
  EnrolledAk();
  const auto key = tpm().CreateSessionKey();
  ASSERT_TRUE(Succeeds(key));
  const std::string message = "header.payload";
  const auto signature = tpm().SignWithSessionKey(key->id, DigestOf(message));
  ASSERT_TRUE(Succeeds(signature));
  ASSERT_EQ(signature->size(), 64u);
  const ByteSpan both(*signature);
  const Bytes tpmt_signature = BigEndianWriter()
                                   .U16(tpm::kAlgEcdsa)
                                   .U16(tpm::kAlgSha256)
                                   .Sized16(both.first(32))
                                   .Sized16(both.subspan(32))
                                   .bytes();
  EXPECT_TRUE(
      tpm::VerifySignature(key->public_area, AsBytes(message), tpmt_signature)
          .has_value());
}

TEST_P(TpmContractTest, HoldsMoreSessionKeysThanTheTpmHasSlots) {
  EnrolledAk();
  std::vector<SessionKey> keys;
  for (int i = 0; i < 5; ++i) {
    auto key = tpm().CreateSessionKey();
    ASSERT_TRUE(Succeeds(key));
    keys.push_back(*std::move(key));
  }
  for (const SessionKey& key : keys) {
    EXPECT_TRUE(Succeeds(tpm().SignWithSessionKey(key.id, DigestOf("x"))));
  }
  EXPECT_NE(keys[0].public_area.name(), keys[1].public_area.name());
}

TEST_P(TpmContractTest, CertifiesASessionKey) {
  const AkBlob blob = EnrolledAk();
  const auto key = tpm().CreateSessionKey();
  ASSERT_TRUE(Succeeds(key));
  const Sha256Digest digest = DigestOf("binding");
  const auto certified = tpm().CertifySessionKey(key->id, digest);
  ASSERT_TRUE(Succeeds(certified));
  const auto ak = tpm::PublicArea::Parse(blob.public_area);
  EXPECT_TRUE(tpm::VerifySignature(*ak, certified->attest, certified->signature)
                  .has_value());
  const auto attest = tpm::ParseAttest(certified->attest);
  ASSERT_TRUE(attest.has_value());
  ASSERT_NE(attest->certify(), nullptr);
  EXPECT_TRUE(Equal(attest->extra_data, digest));
  EXPECT_EQ(attest->certify()->name, key->public_area.name());
  EXPECT_EQ(
      attest->certify()->qualified_name,
      *tpm::QualifiedNameOfPrimary(tpm::kRhNull, key->public_area.name()));
  EXPECT_EQ(key->public_area.attributes(), tpm::kSessionKeyAttributes);
}

TEST_P(TpmContractTest, RejectsSessionKeyWithoutAk) {
  EXPECT_TRUE(FailsWith(tpm().CreateSessionKey(), ErrorCode::kNotEnrolled));
}

TEST_P(TpmContractTest, RejectsDestroyedSessionKey) {
  EnrolledAk();
  const auto key = tpm().CreateSessionKey();
  ASSERT_TRUE(key.has_value());
  tpm().DestroySessionKey(key->id);
  EXPECT_TRUE(FailsWith(tpm().SignWithSessionKey(key->id, DigestOf("x")),
                        ErrorCode::kNotFound));
  EXPECT_TRUE(FailsWith(tpm().CertifySessionKey(key->id, DigestOf("x")),
                        ErrorCode::kNotFound));
}

TEST_P(TpmContractTest, RejectsSessionKeyFromBeforeAReboot) {
  EnrolledAk();
  const auto key = tpm().CreateSessionKey();
  ASSERT_TRUE(key.has_value());
  under_test_->Reboot();
  EXPECT_TRUE(FailsWith(tpm().SignWithSessionKey(key->id, DigestOf("x")),
                        ErrorCode::kTpmReset));
  EXPECT_TRUE(FailsWith(tpm().CertifySessionKey(key->id, DigestOf("x")),
                        ErrorCode::kTpmReset));
  EXPECT_TRUE(Succeeds(tpm().QuoteAk(DigestOf("x"), kBoot)));
}

TEST_P(TpmContractTest, TellsWhatItIs) {
  const auto info = tpm().Info();
  ASSERT_TRUE(Succeeds(info));
  EXPECT_FALSE(info->manufacturer.empty());
  EXPECT_EQ(info->vendor_string.find("  "), std::string::npos)
      << info->vendor_string;
  EXPECT_TRUE(info->is_software);
  EXPECT_GT(info->clock.reset_count, 0u);
  EXPECT_FALSE(info->locked_out);
}

}  // namespace countersign::platform
