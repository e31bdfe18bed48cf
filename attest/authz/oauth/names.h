// The words of OAuth that Countersign speaks, each in one place: paths, grant
// and token types, methods of authentication.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_NAMES_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_NAMES_H_

#include <string>
#include <string_view>

namespace countersign::authz {

inline constexpr std::string_view kTokenPath = "/oauth/token";
inline constexpr std::string_view kIntrospectPath = "/oauth/introspect";
inline constexpr std::string_view kRevokePath = "/oauth/revoke";
inline constexpr std::string_view kStatusPath = "/v1/status";
inline constexpr std::string_view kMetadataPath =  // RFC 8414
    "/.well-known/oauth-authorization-server";

// RFC 8693
inline constexpr std::string_view kTokenExchange =
    "urn:ietf:params:oauth:grant-type:token-exchange";
inline constexpr std::string_view kAccessTokenType =
    "urn:ietf:params:oauth:token-type:access_token";
inline constexpr std::string_view kJwtType =
    "urn:ietf:params:oauth:token-type:jwt";
// The subject token: the receipt of the action whose grant is fetched.
inline constexpr std::string_view kReceiptType =
    "urn:countersign:oauth:token-type:receipt";

// RFC 7523
inline constexpr std::string_view kJwtBearer =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

// RFC 9396
inline constexpr std::string_view kActionDetails = "countersign_action";

// The URL of `path` at `issuer`, which may end in a slash.
[[nodiscard]] inline std::string EndpointUrl(std::string_view issuer,
                                             std::string_view path) {
  while (issuer.ends_with('/')) issuer.remove_suffix(1);
  return std::string(issuer).append(path);
}

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_NAMES_H_
