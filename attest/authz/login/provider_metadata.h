// What an OpenID provider says of itself (OpenID Connect Discovery 1.0 §3).
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_PROVIDER_METADATA_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_PROVIDER_METADATA_H_

#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign::authz {

inline constexpr size_t kMaxMetadataSize = 64 * 1024;

struct ProviderMetadata {
  std::string authorization_endpoint;
  std::string token_endpoint;
  std::string jwks_uri;
  std::string device_authorization_endpoint;  // Empty: no device flow.
};

// Reads `json` (hostile) of the provider that `issuer` names, exactly.
//   kProviderInvalid  too long; not one JSON object; another issuer; an
//                     endpoint that is missing or not an https URL
[[nodiscard]] Result<ProviderMetadata> ParseProviderMetadata(
    std::string_view json, std::string_view issuer);

// Where it is found: §4.
[[nodiscard]] std::string DiscoveryUrl(std::string_view issuer);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_PROVIDER_METADATA_H_
