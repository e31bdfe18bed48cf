#include "attest/verifier/ak_verifier.h"

#include "attest/verifier/known_device.h"
#include "tests/attest/verifier/evidence.h"
#include "tests/fails_with.h"

namespace countersign::verifier {
namespace {

using tpm::KeyType;

tpm::PublicArea AkWith(const tpm::PublicArea::Traits& traits) {
  return tpm::PublicArea::FromKey(SharedDevice().ak.key.get(), traits).value();
}

tpm::PublicArea::Traits AkTraits() {
  return {.attributes = tpm::kAkAttributes,
          .symmetric = {},
          .scheme = {tpm::kAlgEcdsa, tpm::kAlgSha256},
          .auth_policy = {}};
}

TEST(CheckAkTest, AcceptsWhatOurTemplatesMake) {
  EXPECT_TRUE(Succeeds(CheckAk(fakes::NewAk(KeyType::kEccP256).area)));
  EXPECT_TRUE(Succeeds(CheckAk(fakes::NewAk(KeyType::kRsa2048).area)));
}

// A10
TEST(CheckAkTest, RejectsEachMissingAttribute) {
  for (const uint32_t missing :
       {tpm::kSign, tpm::kRestricted, tpm::kFixedTpm, tpm::kFixedParent,
        tpm::kSensitiveDataOrigin}) {
    auto traits = AkTraits();
    traits.attributes &= ~missing;
    EXPECT_TRUE(FailsWith(CheckAk(AkWith(traits)), ErrorCode::kAkAttributes))
        << missing;
  }
}

// A10
TEST(CheckAkTest, RejectsAKeyThatAlsoDecrypts) {
  auto traits = AkTraits();
  traits.attributes |= tpm::kDecrypt;
  EXPECT_TRUE(FailsWith(CheckAk(AkWith(traits)), ErrorCode::kAkAttributes));
}

TEST(CheckAkTest, RejectsAnotherScheme) {
  auto none = AkTraits();
  none.scheme = {};
  auto sha1 = AkTraits();
  sha1.scheme.hash = tpm::kAlgSha1;
  for (const auto& traits : {none, sha1}) {
    EXPECT_TRUE(FailsWith(CheckAk(AkWith(traits)), ErrorCode::kAkAttributes));
  }
}

// A16
TEST(CheckAkTest, RejectsWeakKeys) {
  const EvpPkeyPtr rsa = fakes::NewRsaKey(1024);
  auto traits = AkTraits();
  traits.scheme.algorithm = tpm::kAlgRsassa;
  EXPECT_TRUE(
      FailsWith(CheckAk(tpm::PublicArea::FromKey(rsa.get(), traits).value()),
                ErrorCode::kWeakKey));
  const EvpPkeyPtr p384 = fakes::NewEccKey("P-384");
  EXPECT_TRUE(FailsWith(
      CheckAk(tpm::PublicArea::FromKey(p384.get(), AkTraits()).value()),
      ErrorCode::kWeakKey));
}

TEST(CheckEkTest, AcceptsWhatTheTcgTemplatesMake) {
  EXPECT_TRUE(Succeeds(CheckEk(SharedDevice().ek.area)));
  EXPECT_TRUE(Succeeds(CheckEk(fakes::NewEk(KeyType::kRsa2048).area)));
}

TEST(CheckEkTest, RejectsAKeyThatIsNoStorageKey) {
  EXPECT_TRUE(
      FailsWith(CheckEk(SharedDevice().ak.area), ErrorCode::kEkNotTrusted));
  for (const uint32_t changed :
       {tpm::kFixedTpm, tpm::kFixedParent, tpm::kSensitiveDataOrigin,
        tpm::kRestricted, tpm::kDecrypt, tpm::kSign}) {
    const auto area = tpm::PublicArea::FromKey(
        SharedDevice().ek.key.get(),
        {.attributes = tpm::kEkAttributes ^ changed,
         .symmetric = {tpm::kAlgAes, 128, tpm::kAlgCfb},
         .scheme = {},
         .auth_policy = {}});
    EXPECT_TRUE(FailsWith(CheckEk(area.value()), ErrorCode::kEkNotTrusted))
        << changed;
  }
}

v1::DeviceRecord Record(const Device& device) {
  v1::DeviceRecord record;
  record.set_issuer(kIssuer);
  record.set_tenant(kTenant);
  record.set_device_id(AsString(device.device_id));
  record.add_eks()->set_public_area(AsString(device.ek.area.bytes()));
  record.set_ak_public(AsString(device.ak.area.bytes()));
  record.set_ak_name(AsString(device.ak.area.name()));
  record.set_qualified_signer(
      AsString(fakes::QualifiedSigner(device.ek, device.ak)));
  record.set_pcr_selection("sha256:0-7");
  return record;
}

TEST(KnownDeviceTest, FollowsFromARecord) {
  const Device& device = SharedDevice();
  const auto known = KnownDeviceFrom(Record(device));
  ASSERT_TRUE(Succeeds(known));
  EXPECT_EQ(known->issuer, kIssuer);
  EXPECT_EQ(known->tenant, kTenant);
  EXPECT_EQ(known->device_id, device.device_id);
  EXPECT_EQ(known->ak.name(), device.ak.area.name());
  EXPECT_EQ(known->qualified_signer,
            fakes::QualifiedSigner(device.ek, device.ak));
  EXPECT_FALSE(known->out_of_service.has_value());
}

// A10: the Name must follow from the public area.
TEST(KnownDeviceTest, RejectsAnAkNameOfAnotherKey) {
  v1::DeviceRecord record = Record(SharedDevice());
  record.set_ak_name(AsString(fakes::NewAk(KeyType::kEccP256).area.name()));
  EXPECT_TRUE(FailsWith(KnownDeviceFrom(record), ErrorCode::kAkNotBound));
}

// A11: an EK of one device, an AK of another.
TEST(KnownDeviceTest, RejectsAnAkUnderAnotherEk) {
  v1::DeviceRecord record = Record(SharedDevice());
  record.mutable_eks(0)->set_public_area(
      AsString(fakes::NewEk(KeyType::kEccP256).area.bytes()));
  EXPECT_TRUE(FailsWith(KnownDeviceFrom(record), ErrorCode::kAkNotBound));
}

TEST(KnownDeviceTest, RejectsARecordWithoutItsEk) {
  v1::DeviceRecord record = Record(SharedDevice());
  for (const uint32_t index : {1u, 0xffffffffu}) {
    record.set_certified_ek(index);
    EXPECT_TRUE(
        FailsWith(KnownDeviceFrom(record), ErrorCode::kMalformedEvidence));
  }
}

}  // namespace
}  // namespace countersign::verifier
