// What this device is, once the service has enrolled it.
#ifndef COUNTERSIGN_AGENT_DAEMON_DEVICE_H_
#define COUNTERSIGN_AGENT_DAEMON_DEVICE_H_

#include <memory>
#include <optional>
#include <string>

#include "agent/daemon/service_link.h"
#include "agent/daemon/state.pb.h"
#include "attest/tpm/pcr_selection.h"
#include "platform/state_store.h"
#include "platform/tpm.h"

namespace countersign::agent {

// Immutable; replaced as a whole by another enrollment.
struct Device {
  v1::ServiceSigned signed_record;
  v1::DeviceRecord record;  // The payload of signed_record.
  ServiceAddress service;
  tpm::PcrSelection selection = tpm::PcrSelection::Default();
};
using DevicePtr = std::shared_ptr<const Device>;

inline constexpr char kDeviceKey[] = "device";
inline constexpr char kEnrollingKey[] = "enrolling";

// What is stored; nothing when the device is not enrolled. kStorageCorrupt.
[[nodiscard]] Result<std::optional<state::EnrolledDevice>> LoadEnrolled(
    platform::StateStore& store);
[[nodiscard]] Result<std::optional<state::PendingEnrollment>> LoadEnrolling(
    platform::StateStore& store);

// `stored` was verified when it was stored; it is checked again, since keys
// can be re-pinned: `pinned` are the keys of managed configuration, null where
// there are none. kDeviceRecordInvalid, kUntrustedKey, kStorageCorrupt.
[[nodiscard]] Result<DevicePtr> MakeDevice(
    const state::EnrolledDevice& stored,
    std::shared_ptr<const jose::KeySet> pinned);

// Checks a DeviceRecord that `service` (audience "") signed over the request
// with `request_sha256`, if that is known. Each is kDeviceRecordInvalid:
//   the signature, issuer, kind or request
//   device_id is not 16 bytes
//   the AK or the EK it names as certified is not in `ak`
//   the AK's Name or Qualified Signer does not follow from them
//   the PCR selection is not one
[[nodiscard]] Result<v1::DeviceRecord> CheckDeviceRecord(
    const ServiceAddress& service, const platform::AkBlob& ak,
    const v1::ServiceSigned& signed_record);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_DEVICE_H_
