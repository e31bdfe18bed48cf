#include "attest/base/error_codes.h"

#include <array>

namespace countersign {
namespace {

struct Row {
  ErrorCode code;
  std::string_view name;
  PublicCode public_code;
  std::string_view message;
  std::string_view remedy;
};

constexpr Row kRows[] = {
#define CS_ERROR(number, identifier, name, public_code, message, remedy) \
  {ErrorCode::identifier, name, PublicCode::public_code, message, remedy},
#include "attest/base/error_codes.inc"
#undef CS_ERROR
};

struct PublicRow {
  PublicCode code;
  std::string_view name;
  int exit_code;
  int http_status;
};

constexpr PublicRow kPublicRows[] = {
    {PublicCode::kBadRequest, "bad_request", 2, 400},
    {PublicCode::kTooLarge, "too_large", 2, 413},
    {PublicCode::kNotEnrolled, "not_enrolled", 3, 403},
    {PublicCode::kTpmUnavailable, "tpm_unavailable", 21, 503},
    {PublicCode::kTpmLockout, "tpm_lockout", 21, 503},
    {PublicCode::kTpmOwnerAuthRequired, "tpm_owner_auth_required", 21, 503},
    {PublicCode::kWorkloadNotAllowed, "workload_not_allowed", 10, 403},
    {PublicCode::kUserNotVerified, "user_not_verified", 10, 403},
    {PublicCode::kSessionExpired, "session_expired", 12, 403},
    {PublicCode::kSessionRevoked, "session_revoked", 12, 403},
    {PublicCode::kPolicyDenied, "policy_denied", 10, 403},
    {PublicCode::kApprovalRequired, "approval_required", 11, 403},
    {PublicCode::kSequenceConflict, "sequence_conflict", 1, 409},
    {PublicCode::kVerificationFailed, "verification_failed", 5, 403},
    {PublicCode::kServiceUnreachable, "service_unreachable", 20, 504},
    {PublicCode::kServiceRejected, "service_rejected", 10, 401},
    {PublicCode::kRateLimited, "rate_limited", 75, 429},
    {PublicCode::kBusy, "busy", 75, 503},
    {PublicCode::kDaemonNotRunning, "daemon_not_running", 4, 503},
    {PublicCode::kInternal, "internal", 1, 500},
};

const Row& Find(ErrorCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return kRows[0];
}

const PublicRow& Find(PublicCode code) {
  return kPublicRows[static_cast<size_t>(code)];
}

}  // namespace

std::string_view Name(ErrorCode code) { return Find(code).name; }

std::optional<ErrorCode> ErrorCodeFromName(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.code;
  }
  return std::nullopt;
}

std::optional<ErrorCode> ErrorCodeFromNumber(uint32_t number) {
  for (const Row& row : kRows) {
    if (static_cast<uint32_t>(row.code) == number) return row.code;
  }
  return std::nullopt;
}

PublicCode Public(ErrorCode code) { return Find(code).public_code; }
std::string_view Name(PublicCode code) { return Find(code).name; }
std::string_view Message(ErrorCode code) { return Find(code).message; }
std::string_view Remedy(ErrorCode code) { return Find(code).remedy; }

int ExitCode(ErrorCode code) { return Find(Public(code)).exit_code; }

int HttpStatus(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kEnrollmentUnknown:
      return 404;
    case ErrorCode::kDeviceIdentityConflict:
      return 409;
    case ErrorCode::kServiceRejected:
    case ErrorCode::kEkNotTrusted:
      return 403;
    default:
      return Find(Public(code)).http_status;
  }
}

}  // namespace countersign
