// The claims of an OpenID provider's tokens, checked after their signature
// holds. Pure.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_ID_TOKEN_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_ID_TOKEN_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attest/authz/login/login_config.h"

namespace countersign::authz {

// Who signed in. Texts are bounded and printable as CheckText asks.
struct IdTokenClaims {
  std::string subject;           // SubjectOfProvider(iss, sub)
  std::string provider_session;  // Hash of `sid`; empty if there is none.
  std::vector<std::string> groups;
  std::string acr;
  int64_t auth_time_s = 0;
  std::string display_name;  // preferred_username, email or name; for people.
};

struct ExpectedIdToken {
  const OidcConfig& config;
  int64_t now_s = 0;
  // Of the authorization request. Nothing: the device flow has none, and the
  // token must not either.
  std::optional<std::string> nonce;
  std::string access_token;  // That came with it; empty: none.
};

// Checks the claims of an ID token (OpenID Connect Core §3.1.3.7, §3.1.3.8):
//   kJwsClaims     not one JSON object; iss; aud does not hold the client, or
//                  others without azp; azp is another; sub absent or not 1 to
//                  255 printable characters; exp or iat absent; iat, nbf or
//                  auth_time later than now; nonce; at_hash; a claim of the
//                  wrong type
//   kTokenExpired  exp is not after now; iat is over 10 minutes ago
//   kUserNotVerified  auth_time or acr is not as the configuration asks
[[nodiscard]] Result<IdTokenClaims> CheckIdToken(
    std::string_view claims_json, const ExpectedIdToken& expected);

// Whose logins a back-channel logout ends.
struct LogoutClaims {
  std::string subject;           // Empty: of any.
  std::string provider_session;  // Empty: all of the subject.
  std::string jti_sha256;        // base64url; names the token once.
  int64_t remember_until_s = 0;  // For how long a copy might be taken.
};

// Checks the claims of a logout token (OpenID Connect Back-Channel Logout
// §2.6):
//   kJwsClaims     iss, aud, iat, jti or the event are not as they must be;
//                  neither sub nor sid; a nonce
//   kTokenExpired  exp, or iat over 10 minutes ago
[[nodiscard]] Result<LogoutClaims> CheckLogoutToken(
    std::string_view claims_json, const OidcConfig& config, int64_t now_s);

// "idp:" + base64url(SHA-256(issuer ‖ 0 ‖ sub)): says nothing of who it is to
// those who do not know already, and is the same on every device.
[[nodiscard]] std::string SubjectOfProvider(std::string_view issuer,
                                            std::string_view sub);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_ID_TOKEN_H_
