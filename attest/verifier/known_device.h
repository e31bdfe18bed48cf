// What an appraisal knows of the device before it opens the evidence: the
// service from its database, an offline verifier from a DeviceRecord whose
// signature it has checked.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_KNOWN_DEVICE_H_
#define COUNTERSIGN_ATTEST_VERIFIER_KNOWN_DEVICE_H_

#include <optional>

#include "attest/tpm/pcr_selection.h"
#include "attest/tpm/public_area.h"
#include "countersign/v1/evidence.pb.h"

namespace countersign::verifier {

struct KnownDevice {
  std::string issuer;
  std::string tenant;
  Bytes device_id;
  tpm::PublicArea ak;
  Bytes qualified_signer;
  tpm::PcrSelection selection = tpm::PcrSelection::Default();
  // Why nothing of this device counts any more, e.g. kDeviceRevoked or
  // kAkRetired; nothing while all is well.
  std::optional<ErrorCode> out_of_service;
};

// Reads a trusted `record` and recomputes what follows from it, so that no
// two copies of one identity can differ.
//   kMalformedEvidence, kWeakKey, kAkAttributes   EK or AK public area
//   kAkNotBound   ak_name or qualified_signer does not follow from the areas
//   kBadRequest   pcr_selection
[[nodiscard]] Result<KnownDevice> KnownDeviceFrom(
    const v1::DeviceRecord& record);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_KNOWN_DEVICE_H_
