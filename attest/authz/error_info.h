// An Error as the wire carries it.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_ERROR_INFO_H_
#define COUNTERSIGN_ATTEST_AUTHZ_ERROR_INFO_H_

#include "attest/base/result.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// The detail is made printable: it may quote hostile text.
[[nodiscard]] v1::ErrorInfo ErrorInfoOf(const Error& error);

// RFC 9457 problem details, with our codes beside its members.
[[nodiscard]] std::string ProblemJson(const Error& error, int status);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_ERROR_INFO_H_
