// Why a TPM could not be opened: the TCTI library only says that it failed.
#ifndef COUNTERSIGN_PLATFORM_ESYS_DEVICE_ACCESS_H_
#define COUNTERSIGN_PLATFORM_ESYS_DEVICE_ACCESS_H_

#include <string>

#include "attest/base/result.h"

namespace countersign::platform {

// Tries the file behind a "device:PATH" string itself: kTpmPermissionDenied,
// kTpmBusy, or else kTpmUnavailable with what the system said.
[[nodiscard]] Error WhyNotOpened(const std::string& tcti);

// True where something between us and the TPM (the kernel's /dev/tpmrm*, or
// tpm2-abrmd) gives each client its own objects and cleans up after it.
[[nodiscard]] bool HasResourceManager(const std::string& tcti);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_DEVICE_ACCESS_H_
