#include "attest/authz/oauth/metadata.h"

#include <initializer_list>

#include "attest/authz/json_writer.h"
#include "attest/authz/oauth/names.h"

namespace countersign::authz {
namespace {

void List(JsonWriter& json, std::string_view key,
          std::initializer_list<std::string_view> values) {
  json.BeginArray(key);
  for (const std::string_view value : values) json.String("", value);
  json.EndArray();
}

}  // namespace

std::string MetadataJson(const std::string& issuer) {
  // draft-ietf-oauth-attestation-based-client-auth, DPoP combined mode.
  constexpr std::string_view kAttested = "attest_jwt_client_auth_dpop";
  constexpr std::string_view kSecret = "client_secret_basic";
  constexpr std::string_view kKey = "private_key_jwt";
  JsonWriter json;
  json.BeginObject()
      .String("issuer", issuer)
      .String("token_endpoint", EndpointUrl(issuer, kTokenPath))
      .String("introspection_endpoint", EndpointUrl(issuer, kIntrospectPath))
      .String("revocation_endpoint", EndpointUrl(issuer, kRevokePath))
      .String("jwks_uri", EndpointUrl(issuer, "/.well-known/jwks.json"));
  List(json, "response_types_supported", {});  // No authorization endpoint.
  List(json, "grant_types_supported", {kTokenExchange});
  List(json, "token_endpoint_auth_methods_supported", {kAttested});
  List(json, "client_attestation_signing_alg_values_supported", {"ES256"});
  List(json, "dpop_signing_alg_values_supported", {"ES256"});
  List(json, "introspection_endpoint_auth_methods_supported", {kSecret, kKey});
  List(json, "introspection_endpoint_auth_signing_alg_values_supported",
       {"ES256"});
  List(json, "introspection_signing_alg_values_supported", {"ES256"});
  List(json, "revocation_endpoint_auth_methods_supported",
       {kAttested, kSecret, kKey});
  List(json, "revocation_endpoint_auth_signing_alg_values_supported",
       {"ES256"});
  List(json, "authorization_details_types_supported", {kActionDetails});
  json.EndObject();
  return std::move(json).text();
}

}  // namespace countersign::authz
