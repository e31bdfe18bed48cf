#include "agent/daemon/device.h"

#include <gtest/gtest.h>

#include "attest/jose/signed_answer.h"
#include "tests/fails_with.h"
#include "tests/fakes/fake_tpm.h"

namespace countersign::agent {
namespace {

// A record as the service makes it, to be broken one field at a time.
class DeviceRecordTest : public testing::Test {
 protected:
  DeviceRecordTest()
      : key_(*jose::Es256Key::Generate()), eks_(*tpm_.EndorsementKeys()) {
    const Secret auth(Bytes(32, 1));
    ak_ = *tpm_.CreateAk(eks_.front(), tpm::KeyType::kEccP256, auth);
    const auto ak = *tpm::PublicArea::Parse(ak_.public_area);
    const auto& ek = eks_.front().public_area;
    record_.set_issuer("https://authz.test");
    record_.set_device_id(std::string(16, 'd'));
    v1::EkRecord& ek_record = *record_.add_eks();
    ek_record.set_public_area(AsString(ek.bytes()));
    ek_record.set_name(AsString(ek.name()));
    record_.set_ak_public(AsString(ak.bytes()));
    record_.set_ak_name(AsString(ak.name()));
    record_.set_qualified_signer(AsString(*tpm::QualifiedName(
        *tpm::QualifiedNameOfPrimary(tpm::kRhEndorsement, ek.name()),
        ak.name())));
    record_.set_pcr_selection("sha256:0-7");
    jose::KeySet keys;
    keys.Add(key_.public_key());
    service_ = {"https://authz.test", "", "",
                std::make_shared<const jose::KeySet>(std::move(keys))};
  }

  Result<v1::DeviceRecord> Check(const std::string& kind = "device-record") {
    const auto signed_record =
        jose::SignAnswer(key_, {service_.issuer, "", kind}, AsBytes("request"),
                         record_.SerializeAsString(), 1);
    return CheckDeviceRecord(service_, ak_, *signed_record);
  }

  fakes::FakeTpm tpm_;
  jose::Es256Key key_;
  std::vector<platform::EndorsementKey> eks_;
  platform::AkBlob ak_;
  v1::DeviceRecord record_;
  ServiceAddress service_;
};

TEST_F(DeviceRecordTest, AcceptsARecordOfThisDevice) {
  EXPECT_TRUE(Succeeds(Check()));
}

TEST_F(DeviceRecordTest, RejectsARecordThatAnotherKeySigned) {
  key_ = *jose::Es256Key::Generate();
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsAnotherKindOfAnswer) {
  EXPECT_TRUE(FailsWith(Check("decisions"), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsAnotherIssuer) {
  record_.set_issuer("https://other.test");
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsADeviceIdOfAnotherSize) {
  record_.set_device_id("short");
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsAnotherAk) {
  const Secret auth(Bytes(32, 1));
  const auto other = *tpm_.CreateAk(eks_.front(), tpm::KeyType::kEccP256, auth);
  record_.set_ak_public(AsString(other.public_area));
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsAnotherAkName) {
  record_.set_ak_name(std::string(34, 'x'));
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsAnotherEk) {
  fakes::FakeTpm other;
  const auto eks = *other.EndorsementKeys();
  record_.mutable_eks(0)->set_public_area(
      AsString(eks.front().public_area.bytes()));
  record_.mutable_eks(0)->set_name(AsString(eks.front().public_area.name()));
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsACertifiedEkThatIsNotThere) {
  record_.set_certified_ek(1);
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsAnotherQualifiedSigner) {
  record_.set_qualified_signer(record_.ak_name());
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

TEST_F(DeviceRecordTest, RejectsAPcrSelectionThatIsNone) {
  record_.set_pcr_selection("sha1:0-7");
  EXPECT_TRUE(FailsWith(Check(), ErrorCode::kDeviceRecordInvalid));
}

}  // namespace
}  // namespace countersign::agent
