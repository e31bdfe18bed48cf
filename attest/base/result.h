// The one error regime: a function that can fail returns Result<T>.
//
// An Error says why something could not be done. Evidence that was appraised
// and refused is a value (AttestationResult), not an Error; neither yields a
// grant. Exceptions from libraries are caught at the seam that calls them.
#ifndef COUNTERSIGN_ATTEST_BASE_RESULT_H_
#define COUNTERSIGN_ATTEST_BASE_RESULT_H_

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "attest/base/error_codes.h"

namespace countersign {

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  // What was seen, for the log and the person who mends it. Never a secret;
  // bounded and escaped where it quotes hostile input (see text.h).
  std::string detail;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// `return Fail(ErrorCode::kBadSignature, "…");` converts to any Result.
[[nodiscard]] inline tl::unexpected<Error> Fail(ErrorCode code,
                                                std::string detail = {}) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace countersign

// Returns the error of `expr`, if any, from the enclosing function.
#define CS_RETURN_IF_ERROR(expr)                           \
  do {                                                     \
    if (auto cs_status_ = (expr); !cs_status_.has_value()) \
      return tl::unexpected<::countersign::Error>(         \
          std::move(cs_status_).error());                  \
  } while (false)

// CS_ASSIGN_OR_RETURN(auto value, Function()): value, or return its error.
#define CS_ASSIGN_OR_RETURN(decl, expr) \
  CS_ASSIGN_OR_RETURN_(CS_CONCAT_(cs_result_, __LINE__), decl, expr)
#define CS_ASSIGN_OR_RETURN_(result, decl, expr)                            \
  auto result = (expr);                                                     \
  if (!result.has_value())                                                  \
    return tl::unexpected<::countersign::Error>(std::move(result).error()); \
  decl = *std::move(result)
#define CS_CONCAT_(a, b) CS_CONCAT2_(a, b)
#define CS_CONCAT2_(a, b) a##b

#endif  // COUNTERSIGN_ATTEST_BASE_RESULT_H_
