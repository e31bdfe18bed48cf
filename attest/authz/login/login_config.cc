#include "attest/authz/login/login_config.h"

#include <algorithm>

#include "attest/authz/http_client.h"
#include "attest/authz/toml_reader.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxIssuer = 512;

Status ReadUsers(const toml::table& table, std::string_view source,
                 LoginConfig* config) {
  TomlReader reader(table, source);
  std::string verification = "os-login";
  reader.String("verification", &verification);
  if (verification == "oidc") {
    config->verification = UserVerification::kOidc;
  } else if (verification == "either") {
    config->verification = UserVerification::kEither;
  } else if (verification != "os-login") {
    reader.Complain("verification",
                    "must be \"os-login\", \"oidc\" or \"either\"");
  }
  if (config->verification != UserVerification::kOsLogin &&
      config->oidc.issuer.empty()) {
    reader.Complain("verification", "needs a provider: see [oidc]");
  }
  return reader.Finish();
}

void ReadAlgorithms(TomlReader& reader, OidcConfig* config) {
  std::vector<std::string> names;
  reader.Strings("algorithms", &names);
  if (names.empty()) return;
  config->algorithms.clear();
  for (const std::string& name : names) {
    const auto algorithm = jose::ForeignAlgorithmFrom(name);
    if (!algorithm) {
      reader.Complain("algorithms", "must be of RS256, PS256, ES256 and EdDSA");
      return;
    }
    config->algorithms.push_back(*algorithm);
  }
}

Status ReadOidc(const toml::table& table, std::string_view source,
                OidcConfig* config) {
  TomlReader reader(table, source);
  reader.String("issuer", &config->issuer);
  if (!IsServerUrl(config->issuer) || config->issuer.size() > kMaxIssuer ||
      config->issuer.find_first_of("?#") != std::string::npos) {
    reader.Complain("issuer", "must be an https URL without a query");
  }
  reader.String("client_id", &config->client_id);
  if (config->client_id.empty() || config->client_id.size() > 256) {
    reader.Complain("client_id", "must be 1 to 256 characters");
  }
  reader.String("client_secret_file", &config->client_secret_file);
  reader.String("ca_file", &config->ca_file);
  reader.Strings("scopes", &config->scopes);
  if (std::ranges::find(config->scopes, "openid") == config->scopes.end()) {
    reader.Complain("scopes", "must hold \"openid\"");
  }
  ReadAlgorithms(reader, config);
  reader.Int("max_auth_age_s", 0, 30 * 86'400, &config->max_auth_age_s);
  reader.Strings("acr_values", &config->acr_values);
  reader.String("groups_claim", &config->groups_claim);
  reader.Int("login_lifetime_s", 60, 30 * 86'400, &config->login_lifetime_s);
  reader.Int("clock_skew_s", 0, 300, &config->clock_skew_s);
  reader.Int("keys_refetch_s", 1, 3'600, &config->keys_refetch_s);
  return reader.Finish();
}

}  // namespace

Status ReadLoginConfig(TomlReader& root, std::string_view source,
                       LoginConfig* config) {
  if (const toml::table* table = root.Table("oidc")) {
    CS_RETURN_IF_ERROR(ReadOidc(*table, source, &config->oidc));
  }
  if (const toml::table* table = root.Table("users")) {
    CS_RETURN_IF_ERROR(ReadUsers(*table, source, config));
  }
  return {};
}

}  // namespace countersign::authz
