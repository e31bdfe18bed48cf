// Which device a set of EKs is. A chip has several (RSA and ECC): enrolling
// the other one must neither make a second device nor escape a revocation,
// and naming another chip's EK must not lead into its device.
//
// Activation proves the certified EK alone; the others in a request are
// claims. Two EKs are taken to be of one chip only if each has named the
// other while it was itself the proven one.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_DEVICE_IDENTITY_H_
#define COUNTERSIGN_ATTEST_AUTHZ_DEVICE_IDENTITY_H_

#include <optional>
#include <span>

#include "attest/authz/store.h"

namespace countersign::authz {

// The device that the EK `certified` belongs to, if it belongs to one;
// `others` are the further EKs of the request. All are Names.
//
//   certified is proven at D           D
//   certified is claimed by D alone,
//     and an EK proven at D is among
//     `others`                         D, which it joins
//   neither proven nor claimed, and no
//     other is proven anywhere         none: a new device
//
// kDeviceIdentityConflict in every other case; `*holder` is then a device
// that the conflict is with.
[[nodiscard]] Result<std::optional<DeviceRow>> IdentifyDevice(
    StoreView& view, ByteSpan certified, std::span<const Bytes> others,
    Bytes* holder);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_DEVICE_IDENTITY_H_
