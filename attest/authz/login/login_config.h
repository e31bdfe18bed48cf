// What authz.toml says of users and of the identity provider:
//
//   [users]
//   verification = "either"     # "os-login" (default), "oidc" or "either"
//
//   [oidc]
//   issuer = "https://login.example/tenant/v2.0"   # exact string
//   client_id = "countersign"
//   client_secret_file = "keys/oidc-secret"  # absent: a public client
//   ca_file = "idp-ca.pem"                   # absent: the system's
//   scopes = ["openid", "profile", "email"]
//   algorithms = ["RS256", "ES256", "PS256", "EdDSA"]
//   max_auth_age_s = 0          # 0: any age; else how old a sign-in may be
//   acr_values = ["urn:mfa"]    # absent: any; else one of these
//   groups_claim = "groups"
//   login_lifetime_s = 28800
//   clock_skew_s = 60
//   keys_refetch_s = 10         # at most one look for a new key in so long
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_CONFIG_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "attest/base/result.h"
#include "attest/jose/foreign_keys.h"

namespace countersign::authz {

class TomlReader;

// How a session's user must be known.
enum class UserVerification : uint8_t {
  kOsLogin,  // The laptop's word: no provider is asked.
  kOidc,     // A login at the provider, or no session.
  kEither,
};

struct OidcConfig {
  std::string issuer;  // Empty: there is no provider.
  std::string client_id;
  std::string client_secret_file;
  std::string ca_file;
  std::vector<std::string> scopes{"openid", "profile", "email"};
  std::vector<jose::ForeignAlgorithm> algorithms{
      jose::ForeignAlgorithm::kRs256, jose::ForeignAlgorithm::kEs256,
      jose::ForeignAlgorithm::kPs256, jose::ForeignAlgorithm::kEdDsa};
  int64_t max_auth_age_s = 0;
  std::vector<std::string> acr_values;
  std::string groups_claim = "groups";
  int64_t login_lifetime_s = 28'800;
  int64_t clock_skew_s = 60;
  int64_t keys_refetch_s = 10;
};

struct LoginConfig {
  UserVerification verification = UserVerification::kOsLogin;
  OidcConfig oidc;
};

// Reads the tables [users] and [oidc] below `root`, if they are there.
// kConfigInvalid with "source:line: what".
[[nodiscard]] Status ReadLoginConfig(TomlReader& root, std::string_view source,
                                     LoginConfig* config);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_CONFIG_H_
