#include "agent/daemon/device.h"

#include "attest/jose/signed_answer.h"
#include "attest/tpm/constants.h"
#include "attest/tpm/public_area.h"

namespace countersign::agent {
namespace {

template <typename M>
Result<std::optional<M>> Load(platform::StateStore& store, const char* key) {
  CS_ASSIGN_OR_RETURN(const auto bytes, store.Get(key));
  if (!bytes.has_value()) return std::nullopt;
  M message;
  if (!message.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
    return Fail(ErrorCode::kStorageCorrupt,
                "the entry \"" + std::string(key) + "\" cannot be read");
  }
  return std::optional<M>(std::move(message));
}

tl::unexpected<Error> Invalid(const std::string& what) {
  return Fail(ErrorCode::kDeviceRecordInvalid, what);
}

Status CheckKeys(const v1::DeviceRecord& record, const platform::AkBlob& blob) {
  if (!Equal(AsBytes(record.ak_public()), blob.public_area)) {
    return Invalid("it names another attestation key");
  }
  CS_ASSIGN_OR_RETURN(const auto ak, tpm::PublicArea::Parse(blob.public_area));
  if (!Equal(AsBytes(record.ak_name()), ak.name())) {
    return Invalid("the Name is not that of the attestation key");
  }
  if (record.certified_ek() >= static_cast<uint32_t>(record.eks_size())) {
    return Invalid("it names no endorsement key");
  }
  const v1::EkRecord& ek_record =
      record.eks(static_cast<int>(record.certified_ek()));
  const auto ek = tpm::PublicArea::Parse(AsBytes(ek_record.public_area()));
  if (!ek.has_value() || !Equal(ek->name(), AsBytes(ek_record.name())) ||
      !Equal(ek->name(), blob.parent_name)) {
    return Invalid("it names another endorsement key");
  }
  CS_ASSIGN_OR_RETURN(
      const Bytes ek_qualified,
      tpm::QualifiedNameOfPrimary(tpm::kRhEndorsement, ek->name()));
  CS_ASSIGN_OR_RETURN(const Bytes qualified_signer,
                      tpm::QualifiedName(ek_qualified, ak.name()));
  if (!Equal(AsBytes(record.qualified_signer()), qualified_signer)) {
    return Invalid("the Qualified Signer does not follow from the keys");
  }
  return {};
}

}  // namespace

Result<std::optional<state::EnrolledDevice>> LoadEnrolled(
    platform::StateStore& store) {
  return Load<state::EnrolledDevice>(store, kDeviceKey);
}

Result<std::optional<state::PendingEnrollment>> LoadEnrolling(
    platform::StateStore& store) {
  return Load<state::PendingEnrollment>(store, kEnrollingKey);
}

Result<v1::DeviceRecord> CheckDeviceRecord(
    const ServiceAddress& service, const platform::AkBlob& ak,
    const v1::ServiceSigned& signed_record) {
  const auto payload = jose::VerifyAnswer(
      *service.keys,
      {service.issuer, service.audience, std::string(jose::kKindDeviceRecord)},
      std::nullopt, signed_record);
  if (!payload.has_value()) return Invalid(payload.error().detail);
  v1::DeviceRecord record;
  if (!record.ParseFromString(*payload)) return Invalid("it cannot be read");
  if (record.issuer() != service.issuer) return Invalid("another issuer");
  if (record.device_id().size() != 16) return Invalid("the device_id");
  CS_RETURN_IF_ERROR(CheckKeys(record, ak));
  if (!tpm::PcrSelection::FromText(record.pcr_selection()).has_value()) {
    return Invalid("the PCR selection");
  }
  return record;
}

Result<DevicePtr> MakeDevice(const state::EnrolledDevice& stored,
                             std::shared_ptr<const jose::KeySet> pinned) {
  auto device = std::make_shared<Device>();
  if (pinned == nullptr) {
    CS_ASSIGN_OR_RETURN(auto keys, jose::KeySet::FromJson(stored.jwks()));
    pinned = std::make_shared<const jose::KeySet>(std::move(keys));
  }
  // A record is made before its device has an id to address it by.
  device->service = {stored.service(), "", stored.ca_pem(), std::move(pinned)};
  CS_ASSIGN_OR_RETURN(const auto ak,
                      platform::AkBlob::Decode(AsBytes(stored.ak_blob())));
  CS_ASSIGN_OR_RETURN(device->record,
                      CheckDeviceRecord(device->service, ak, stored.record()));
  device->signed_record = stored.record();
  device->service.audience = ToHex(AsBytes(device->record.device_id()));
  CS_ASSIGN_OR_RETURN(device->selection, tpm::PcrSelection::FromText(
                                             device->record.pcr_selection()));
  return DevicePtr(std::move(device));
}

}  // namespace countersign::agent
