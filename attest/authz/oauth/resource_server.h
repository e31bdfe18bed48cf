// Who asks as a resource server: a client that an administrator registered for
// one audience, with a secret or a key of its own.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_RESOURCE_SERVER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_RESOURCE_SERVER_H_

#include "attest/authz/service.h"

namespace countersign::authz {

// What a request shows, all of it hostile.
struct ClientCredentials {
  std::string authorization;   // The header field: "Basic …".
  std::string client_id;       // Of the body; may be empty.
  std::string assertion_type;  // kJwtBearer with an assertion.
  std::string assertion;       // RFC 7523 §3 JWT.
};

inline constexpr int64_t kMaxAssertionLifeS = 300;

// The registered client, by client_secret_basic (RFC 6749 §2.3.1) or
// private_key_jwt (RFC 7523): exactly one of them.
//   kClientUnknown  everything else, and the detail says what: no credentials
//                   or both kinds; no such client, revoked, or with the other
//                   kind; a wrong secret; an assertion whose signature, iss,
//                   sub, aud (the issuer), time or jti does not hold, or
//                   that was used before
[[nodiscard]] Result<ClientRow> AuthenticateResourceServer(
    const Service& service, const ClientCredentials& credentials);

// A new row, and the secret that is shown once (empty with a JWK Set).
struct NewClient {
  std::string secret;
  ClientRow row;
};
//   kBadRequest  name is not 1 to 64 of [A-Za-z0-9._-]; audience is not an
//                https URL; as KeySet::FromJson, or no ES256 key in it
[[nodiscard]] Result<NewClient> MakeClient(const std::string& name,
                                           const std::string& audience,
                                           const std::string& jwks_json,
                                           int64_t now_ms);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_RESOURCE_SERVER_H_
