#include "attest/verifier/known_device.h"

#include "attest/verifier/ak_verifier.h"

namespace countersign::verifier {

Result<KnownDevice> KnownDeviceFrom(const v1::DeviceRecord& record) {
  const auto certified_ek = static_cast<int>(record.certified_ek());
  if (certified_ek < 0 || certified_ek >= record.eks_size()) {
    return Fail(ErrorCode::kMalformedEvidence, "the record names no EK");
  }
  const std::string& ek_bytes = record.eks(certified_ek).public_area();
  CS_ASSIGN_OR_RETURN(const auto ek, tpm::PublicArea::Parse(AsBytes(ek_bytes)));
  CS_ASSIGN_OR_RETURN(auto ak,
                      tpm::PublicArea::Parse(AsBytes(record.ak_public())));
  CS_RETURN_IF_ERROR(CheckAk(ak));
  CS_ASSIGN_OR_RETURN(Bytes signer, ExpectedQualifiedSigner(ek, ak));
  if (!Equal(ak.name(), AsBytes(record.ak_name())) ||
      !Equal(signer, AsBytes(record.qualified_signer()))) {
    return Fail(ErrorCode::kAkNotBound,
                "the record's Names do not follow from its keys");
  }
  CS_ASSIGN_OR_RETURN(const auto selection,
                      tpm::PcrSelection::FromText(record.pcr_selection()));
  return KnownDevice{.issuer = record.issuer(),
                     .tenant = record.tenant(),
                     .device_id = ToBytes(AsBytes(record.device_id())),
                     .ak = std::move(ak),
                     .qualified_signer = std::move(signer),
                     .selection = selection,
                     .out_of_service = std::nullopt};
}

}  // namespace countersign::verifier
