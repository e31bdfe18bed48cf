#include "attest/authz/config.h"

#include <filesystem>

#include "attest/authz/files.h"
#include "attest/authz/storage/open_store.h"
#include "attest/authz/toml_reader.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxConfigSize = 64 * 1024;

Status ReadEnrollment(const toml::table& table, std::string_view source,
                      EnrollmentConfig* config) {
  TomlReader reader(table, source);
  std::string policy(Name(config->ek_policy));
  reader.String("ek_policy", &policy);
  if (policy == Name(EkPolicy::kCertificate)) {
    config->ek_policy = EkPolicy::kCertificate;
  } else if (policy == Name(EkPolicy::kAllowlist)) {
    config->ek_policy = EkPolicy::kAllowlist;
  } else if (policy == Name(EkPolicy::kFirstUse)) {
    config->ek_policy = EkPolicy::kFirstUse;
  } else {
    reader.Complain("ek_policy",
                    "must be \"certificate\", \"allowlist\" or \"first-use\"");
  }
  reader.String("ek_roots", &config->ek_roots);
  reader.String("ek_allowlist", &config->ek_allowlist);
  std::string selection = config->pcr_selection.ToText();
  reader.String("pcr_selection", &selection);
  if (auto parsed = tpm::PcrSelection::FromText(selection)) {
    config->pcr_selection = *parsed;
  } else {
    reader.Complain("pcr_selection", "must be like \"sha256:0-7\"");
  }
  reader.Int("pending_ttl_s", 10, 3600, &config->pending_ttl_s);
  return reader.Finish();
}

Status ReadSessions(const toml::table& table, std::string_view source,
                    SessionConfig* config) {
  TomlReader reader(table, source);
  reader.Bool("require_channel_binding", &config->require_channel_binding);
  reader.Int("challenge_ttl_s", 1, 120, &config->challenge_ttl_s);
  reader.Int("max_lifetime_s", 60, 86400, &config->max_lifetime_s);
  reader.Int("lease_ttl_s", 1, 120, &config->lease_ttl_s);
  reader.Int("epoch_ttl_s", 1, 300, &config->epoch_ttl_s);
  return reader.Finish();
}

Status ReadDecisionPoint(const toml::table& table, std::string_view source,
                         DecisionPointConfig* config) {
  TomlReader reader(table, source);
  reader.String("url", &config->url);
  if (!IsServerUrl(config->url)) {
    reader.Complain("url", "must be https://, or http:// on this machine");
  }
  std::string style = "authzen";
  reader.String("style", &style);
  if (style == "opa") {
    config->style = DecisionPointConfig::Style::kOpa;
  } else if (style != "authzen") {
    reader.Complain("style", "must be \"authzen\" or \"opa\"");
  }
  std::string batch = "auto";
  reader.String("batch", &batch);
  config->batch = batch == "auto";
  if (batch != "auto" && batch != "never") {
    reader.Complain("batch", "must be \"auto\" or \"never\"");
  }
  reader.String("ca_file", &config->ca_file);
  reader.String("token_file", &config->token_file);
  reader.Int("timeout_ms", 50, 5000, &config->timeout_ms);
  return reader.Finish();
}

Status ReadLimits(const toml::table& table, std::string_view source,
                  LimitConfig* config) {
  TomlReader reader(table, source);
  reader.Int("connections", 16, 65536, &config->connections);
  reader.Int("workers", 1, 256, &config->workers);
  reader.Int("queue", 1, 65536, &config->queue);
  reader.Int("requests_per_s", 1, 1'000'000, &config->requests_per_s);
  reader.Int("batches_per_s", 1, 1'000'000, &config->batches_per_s);
  reader.Int("enrollments_per_min", 1, 1'000'000, &config->enrollments_per_min);
  reader.Int("idle_timeout_s", 1, 3600, &config->idle_timeout_s);
  reader.Int("read_timeout_s", 1, 600, &config->read_timeout_s);
  return reader.Finish();
}

Status ReadTls(const toml::table& table, std::string_view source,
               Config* config) {
  TomlReader reader(table, source);
  reader.String("certificate", &config->tls_certificate);
  reader.String("key", &config->tls_key);
  return reader.Finish();
}

void ReadTop(TomlReader& reader, Config* config) {
  reader.String("issuer", &config->issuer);
  if (!config->issuer.starts_with("https://") || config->issuer.size() > 256 ||
      config->issuer.find_first_of(" \t\"<>?#") != std::string::npos) {
    reader.Complain("issuer", "must be an https URL");
  }
  reader.String("tenant", &config->tenant);
  if (config->tenant.empty() || config->tenant.size() > 128) {
    reader.Complain("tenant", "must be 1 to 128 characters");
  }
  reader.String("listen", &config->listen);
  reader.String("database", &config->database);
  if (const Status good = CheckDatabaseName(config->database); !good) {
    reader.Complain("database", good.error().detail);
  }
  reader.String("head_file", &config->head_file);
  reader.String("policy", &config->policy);
  reader.String("service_key", &config->service_key);
  reader.String("ledger_key", &config->ledger_key);
  reader.String("ledger_origin", &config->ledger_origin);
}

void Resolve(const std::filesystem::path& folder, std::string* path) {
  if (!path->empty()) *path = (folder / *path).lexically_normal().string();
}

}  // namespace

std::string_view Name(EkPolicy policy) {
  switch (policy) {
    case EkPolicy::kAllowlist:
      return "allowlist";
    case EkPolicy::kFirstUse:
      return "first-use";
    case EkPolicy::kCertificate:
      break;
  }
  return "certificate";
}

Result<Config> LoadConfig(const std::string& path) {
  CS_ASSIGN_OR_RETURN(const std::string text,
                      ReadTrustedFile(path, kMaxConfigSize));
  CS_ASSIGN_OR_RETURN(const toml::table root, ParseToml(text, path));
  Config config;
  config.enrollment.ek_roots = "ek-roots";
  config.enrollment.ek_allowlist = "ek-allowlist.txt";
  TomlReader reader(root, path);
  ReadTop(reader, &config);
  if (const toml::table* table = reader.Table("tls")) {
    CS_RETURN_IF_ERROR(ReadTls(*table, path, &config));
  }
  if (const toml::table* table = reader.Table("enrollment")) {
    CS_RETURN_IF_ERROR(ReadEnrollment(*table, path, &config.enrollment));
  }
  if (const toml::table* table = reader.Table("sessions")) {
    CS_RETURN_IF_ERROR(ReadSessions(*table, path, &config.sessions));
  }
  if (const toml::table* table = reader.Table("decision_point")) {
    CS_RETURN_IF_ERROR(ReadDecisionPoint(*table, path, &config.decision_point));
  }
  CS_RETURN_IF_ERROR(ReadLoginConfig(reader, path, &config.login));
  if (const toml::table* table = reader.Table("limits")) {
    CS_RETURN_IF_ERROR(ReadLimits(*table, path, &config.limits));
  }
  CS_RETURN_IF_ERROR(reader.Finish());

  // A checkpoint's origin is a name without a scheme (C2SP tlog-checkpoint).
  if (config.ledger_origin.empty()) {
    config.ledger_origin = config.issuer.substr(sizeof("https://") - 1);
  }
  const std::filesystem::path folder =
      std::filesystem::absolute(path).parent_path();
  for (std::string* file :
       {&config.head_file, &config.policy, &config.service_key,
        &config.ledger_key, &config.tls_certificate, &config.tls_key,
        &config.enrollment.ek_roots, &config.enrollment.ek_allowlist,
        &config.decision_point.ca_file, &config.decision_point.token_file,
        &config.login.oidc.client_secret_file, &config.login.oidc.ca_file}) {
    Resolve(folder, file);
  }
  if (!IsDatabaseUri(config.database)) Resolve(folder, &config.database);
  return config;
}

std::string ConfigText(const Config& config) {
  const auto quoted = [](const std::string& text) {
    std::ostringstream out;
    out << toml::value<std::string>(text);
    return out.str();
  };
  return "# Configuration of countersign-authz. Paths are relative to this "
         "file.\n"
         "issuer = " +
         quoted(config.issuer) +
         "\n"
         "tenant = " +
         quoted(config.tenant) +
         "\n"
         "listen = " +
         quoted(config.listen) +
         "\n"
         "\n"
         "# A file, or \"postgresql://USER@HOST/NAME\" (no password in it).\n"
         "database = " +
         quoted(config.database) +
         "\n"
         "# Kept outside the database, so that a restored one is noticed.\n"
         "head_file = " +
         quoted(config.head_file) +
         "\n"
         "\n"
         "[tls]\n"
         "certificate = " +
         quoted(config.tls_certificate) +
         "\n"
         "key = " +
         quoted(config.tls_key) +
         "\n"
         "\n"
         "[enrollment]\n"
         "# \"certificate\": the EK's certificate leads to one of ek_roots.\n"
         "# \"allowlist\": its SHA-256 is in ek_allowlist.\n"
         "# \"first-use\": a single-use token alone.\n"
         "ek_policy = " +
         quoted(std::string(Name(config.enrollment.ek_policy))) +
         "\n"
         "ek_roots = \"ek-roots\"\n"
         "ek_allowlist = \"ek-allowlist.txt\"\n"
         "pcr_selection = " +
         quoted(config.enrollment.pcr_selection.ToText()) + "\n";
}

}  // namespace countersign::authz
