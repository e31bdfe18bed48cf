// Answers in OAuth's form: JSON, and errors as RFC 6749 §5.2 has them.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_OAUTH_RESPONSE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_OAUTH_RESPONSE_H_

#include "attest/authz/http_server.h"
#include "attest/base/result.h"

namespace countersign::authz {

// The `error` word of RFC 6749, 8693, 8707, 9396 or 9449 that says most about
// `code`.
[[nodiscard]] std::string_view OAuthError(ErrorCode code);

// {"error", "error_description"}: the description is our reason's name and
// sentence, within the characters that RFC 6749 allows. 400, but 401 for
// invalid_client (with WWW-Authenticate if the request had Authorization,
// §5.2), 503 and 500 for what is not the client's fault.
[[nodiscard]] Response OAuthErrorResponse(const Request& request,
                                          const Error& error);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_OAUTH_RESPONSE_H_
