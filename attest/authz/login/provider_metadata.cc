#include "attest/authz/login/provider_metadata.h"

#include "attest/authz/http_client.h"
#include "attest/base/text.h"
#include "attest/jose/json_object.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxUrl = 2048;

Result<std::string> Endpoint(const jose::JsonObject& json,
                             std::string_view name) {
  const std::string url = json.Text(name).value_or("");
  if (!IsServerUrl(url) || url.size() > kMaxUrl) {
    return Fail(ErrorCode::kProviderInvalid,
                "its " + std::string(name) + " is not an https URL");
  }
  return url;
}

}  // namespace

Result<ProviderMetadata> ParseProviderMetadata(std::string_view json,
                                               std::string_view issuer) {
  const auto parsed = jose::JsonObject::Parse(json, kMaxMetadataSize);
  if (!parsed) {
    return Fail(ErrorCode::kProviderInvalid,
                "its metadata: " + parsed.error().detail);
  }
  if (parsed->Text("issuer") != issuer) {
    return Fail(ErrorCode::kProviderInvalid,
                "its metadata names another issuer: " +
                    Printable(parsed->Text("issuer").value_or("none"), 200));
  }
  ProviderMetadata metadata;
  CS_ASSIGN_OR_RETURN(metadata.authorization_endpoint,
                      Endpoint(*parsed, "authorization_endpoint"));
  CS_ASSIGN_OR_RETURN(metadata.token_endpoint,
                      Endpoint(*parsed, "token_endpoint"));
  CS_ASSIGN_OR_RETURN(metadata.jwks_uri, Endpoint(*parsed, "jwks_uri"));
  if (parsed->Has("device_authorization_endpoint")) {
    CS_ASSIGN_OR_RETURN(metadata.device_authorization_endpoint,
                        Endpoint(*parsed, "device_authorization_endpoint"));
  }
  return metadata;
}

std::string DiscoveryUrl(std::string_view issuer) {
  if (issuer.ends_with('/')) issuer.remove_suffix(1);
  return std::string(issuer) + "/.well-known/openid-configuration";
}

}  // namespace countersign::authz
