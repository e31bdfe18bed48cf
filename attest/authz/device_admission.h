// Takes a proven device into the store: its rows, its record and the ledger
// entry, all within one transaction.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_DEVICE_ADMISSION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_DEVICE_ADMISSION_H_

#include "attest/authz/enrollment_request.h"
#include "attest/authz/service.h"

namespace countersign::authz {

// What credential activation and its quote have shown.
struct ProvenEnrollment {
  const v1::EnrollmentRequest& request;
  const EnrollmentKeys& keys;
  Sha256Digest attest_sha256{};
  tpm::TpmClock clock;
};

// `device` is the one that the EKs belong to, or none: then a new one is made.
// An earlier AK of the device is retired and its sessions end.
// kTpmClockRollback if the same AK has shown a later clock before.
[[nodiscard]] Result<v1::DeviceRecord> AdmitDevice(
    const Service& service, StoreTransaction& transaction,
    const std::optional<DeviceRow>& device, const ProvenEnrollment& proven);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_DEVICE_ADMISSION_H_
