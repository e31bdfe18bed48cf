// From TSS return codes to our errors.
#ifndef COUNTERSIGN_PLATFORM_ESYS_ESYS_ERROR_H_
#define COUNTERSIGN_PLATFORM_ESYS_ESYS_ERROR_H_

#include <tss2/tss2_common.h>

#include <string_view>

#include "attest/base/result.h"

namespace countersign::platform {

// The error of `command` (e.g. "TPM2_Quote") that ended with `rc`, which is
// not success.
[[nodiscard]] Error ErrorFromRc(TSS2_RC rc, std::string_view command);

// True if the TPM itself (or its resource manager) answered `rc`; false if
// something on the way to it failed, after which ESYS is of no more use.
[[nodiscard]] bool IsFromTpm(TSS2_RC rc);

// True if the TPM does not know a handle that we took to be loaded, as after
// a reset, or waits for TPM2_Startup.
[[nodiscard]] bool HandlesAreGone(TSS2_RC rc);

// True if an authorisation value was wrong (BAD_AUTH, AUTH_FAIL).
[[nodiscard]] bool IsAuthFailure(TSS2_RC rc);

// True if the TPM refused the value of a parameter, of whatever number.
[[nodiscard]] bool IsParameterError(TSS2_RC rc);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_ESYS_ERROR_H_
