// The registered claims of a verified token (RFC 7519 §4.1): issuer, audience
// and time, each compared exactly.
#ifndef COUNTERSIGN_ATTEST_JOSE_CLAIMS_H_
#define COUNTERSIGN_ATTEST_JOSE_CLAIMS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign::jose {

struct ExpectedClaims {
  std::string issuer;
  std::string audience;
  int64_t now_s = 0;           // Seconds since 1970.
  int64_t leeway_s = 30;       // Between the two clocks.
  int64_t max_lifetime_s = 0;  // Longest exp - iat of this kind of token.
};

struct CheckedClaims {
  std::string subject;  // `sub`; empty if absent.
  std::string jti;      // Empty if absent.
  int64_t issued_at_s = 0;
  int64_t expires_at_s = 0;
};

// Checks `claims_json`, the claims of a token whose signature holds. Times are
// JSON integers from 0 to 2^53 - 1; any other number, or text, is refused.
//   kJwsClaims     not a JSON object; iss is not the issuer; aud is not one
//                  string equal to the audience; exp or iat absent or not a
//                  time; iat later than now; exp not after iat, or further
//                  than max_lifetime_s; nbf later than now; sub or jti not
//                  text
//   kTokenExpired  exp is not after now
[[nodiscard]] Result<CheckedClaims> CheckClaims(std::string_view claims_json,
                                                const ExpectedClaims& expected);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_CLAIMS_H_
