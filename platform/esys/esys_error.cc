#include "platform/esys/esys_error.h"

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>

#include <string>

namespace countersign::platform {
namespace {

// Bits of a format-one code (Part 2 §6.6.2): the error number without the
// handle, session or parameter that it is about.
constexpr TSS2_RC kFormatOne = 1u << 7;
constexpr TSS2_RC kAboutParameter = 1u << 6;

TSS2_RC WithoutLayer(TSS2_RC rc) { return rc & ~TSS2_RC_LAYER_MASK; }

TSS2_RC FormatOneError(TSS2_RC rc) {
  const TSS2_RC code = WithoutLayer(rc);
  return (code & kFormatOne) != 0 ? (code & 0xbf) : 0;
}

ErrorCode CodeFromTpm(TSS2_RC rc) {
  switch (WithoutLayer(rc)) {
    case TPM2_RC_LOCKOUT:
      return ErrorCode::kTpmLockout;
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_OBJECT_HANDLES:
    case TPM2_RC_SESSION_MEMORY:
    case TPM2_RC_SESSION_HANDLES:
    case TPM2_RC_MEMORY:
      return ErrorCode::kTpmSlotsExhausted;
    case TPM2_RC_RETRY:
    case TPM2_RC_YIELDED:
    case TPM2_RC_TESTING:
    case TPM2_RC_NV_RATE:
      return ErrorCode::kTpmRetry;
    case TPM2_RC_INITIALIZE:
      return ErrorCode::kTpmUnavailable;
    default:
      return ErrorCode::kTpmCommandFailed;
  }
}

}  // namespace

bool IsFromTpm(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_RC_LAYER ||
         layer == TSS2_RESMGR_TPM_RC_LAYER;
}

bool HandlesAreGone(TSS2_RC rc) {
  if (!IsFromTpm(rc)) return false;
  const TSS2_RC code = WithoutLayer(rc);
  return code == TPM2_RC_INITIALIZE || FormatOneError(rc) == TPM2_RC_HANDLE ||
         (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_S6);
}

bool IsAuthFailure(TSS2_RC rc) {
  if (!IsFromTpm(rc)) return false;
  return FormatOneError(rc) == TPM2_RC_BAD_AUTH ||
         FormatOneError(rc) == TPM2_RC_AUTH_FAIL;
}

bool IsParameterError(TSS2_RC rc) {
  const TSS2_RC code = WithoutLayer(rc);
  return IsFromTpm(rc) && (code & kFormatOne) != 0 &&
         (code & kAboutParameter) != 0;
}

Error ErrorFromRc(TSS2_RC rc, std::string_view command) {
  const ErrorCode code =
      IsFromTpm(rc) ? CodeFromTpm(rc) : ErrorCode::kTpmProtocolError;
  return {code, std::string(command) + ": " + Tss2_RC_Decode(rc)};
}

}  // namespace countersign::platform
