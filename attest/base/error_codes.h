// Every reason for which Countersign refuses or fails, in one numbered table.
//
// Numbers are written to the ledger: never reuse or renumber one; append.
// A precise reason (ErrorCode) maps to one public code, which is what programs
// switch on; the precise name travels beside it for people and auditors.
#ifndef COUNTERSIGN_ATTEST_BASE_ERROR_CODES_H_
#define COUNTERSIGN_ATTEST_BASE_ERROR_CODES_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace countersign {

// The codes that a caller may switch on, the same on the local socket, over
// HTTP and in command-line JSON.
enum class PublicCode : uint8_t {
  kBadRequest,
  kTooLarge,
  kNotEnrolled,
  kTpmUnavailable,
  kTpmLockout,
  kTpmOwnerAuthRequired,
  kWorkloadNotAllowed,
  kUserNotVerified,
  kSessionExpired,
  kSessionRevoked,
  kPolicyDenied,
  kApprovalRequired,
  kSequenceConflict,
  kVerificationFailed,
  kServiceUnreachable,
  kServiceRejected,
  kRateLimited,
  kBusy,
  kDaemonNotRunning,
  kInternal,
};

enum class ErrorCode : uint16_t {
#define CS_ERROR(number, identifier, name, public_code, message, remedy) \
  identifier = number,
#include "attest/base/error_codes.inc"
#undef CS_ERROR
};

// The stable snake_case name, e.g. "pcr_digest_mismatch".
[[nodiscard]] std::string_view Name(ErrorCode code);
// The code with that name or number; nothing for an unknown one.
[[nodiscard]] std::optional<ErrorCode> ErrorCodeFromName(std::string_view name);
[[nodiscard]] std::optional<ErrorCode> ErrorCodeFromNumber(uint32_t number);

[[nodiscard]] PublicCode Public(ErrorCode code);
[[nodiscard]] std::string_view Name(PublicCode code);
// One sentence that a user understands.
[[nodiscard]] std::string_view Message(ErrorCode code);
// What to do about it.
[[nodiscard]] std::string_view Remedy(ErrorCode code);

// Exit code of a command that ended with `code`.
[[nodiscard]] int ExitCode(ErrorCode code);
// HTTP status of an answer that carries `code`.
[[nodiscard]] int HttpStatus(ErrorCode code);

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_ERROR_CODES_H_
