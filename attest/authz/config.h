// The service's configuration: authz.toml as it was read, checked and
// resolved. An unknown key, a wrong type or a value out of range is an error
// that names file and line: a misspelt setting must never be a silent default.
//
// Trust: the file belongs to the service's account. Secrets are never in it,
// only the paths of key files.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_CONFIG_H_
#define COUNTERSIGN_ATTEST_AUTHZ_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "attest/authz/login/login_config.h"
#include "attest/authz/policy/decision_point.h"
#include "attest/base/result.h"
#include "attest/tpm/pcr_selection.h"

namespace countersign::authz {

// What an EK must show before its device is taken on. None of them replaces
// the enrollment token or the allow-list for an EK not yet known.
enum class EkPolicy : uint8_t {
  kCertificate,  // A certificate that chains to one of ek_roots.
  kAllowlist,    // Its hash is in ek_allowlist.
  kFirstUse,     // None: rests on a single-use token alone.
};
[[nodiscard]] std::string_view Name(EkPolicy policy);

struct EnrollmentConfig {
  EkPolicy ek_policy = EkPolicy::kCertificate;
  std::string ek_roots;      // Folder: see ek_roots_folder.h.
  std::string ek_allowlist;  // File: hex SHA-256 of an EK public area a line.
  tpm::PcrSelection pcr_selection = tpm::PcrSelection::Default();
  int64_t pending_ttl_s = 600;
};

struct SessionConfig {
  bool require_channel_binding = true;
  int64_t challenge_ttl_s = 120;   // At most 120.
  int64_t max_lifetime_s = 28800;  // At most 86,400.
  int64_t lease_ttl_s = 120;       // At most 120.
  int64_t epoch_ttl_s = 300;       // At most 300.
};

struct LimitConfig {
  int connections = 4096;
  int workers = 8;
  int queue = 256;               // Requests waiting for a worker.
  int requests_per_s = 500;      // From one address.
  int batches_per_s = 300;       // Of one device: above what a TPM can quote.
  int enrollments_per_min = 60;  // From one address.
  int idle_timeout_s = 60;
  int read_timeout_s = 20;  // For one whole request, header and body.
};

struct Config {
  std::string issuer;  // Exact string, e.g. "https://authz.example:8443".
  std::string tenant = "default";
  std::string listen = "127.0.0.1:8443";
  std::string database = "ledger.db";  // Or postgresql://…, no password.
  std::string head_file = "ledger.head";
  std::string policy = "policy.toml";
  std::string service_key = "keys/service.pem";
  std::string ledger_key = "keys/ledger.pem";
  std::string ledger_origin;  // Name in checkpoints; default from the issuer.
  std::string tls_certificate = "tls/cert.pem";
  std::string tls_key = "tls/key.pem";
  EnrollmentConfig enrollment;
  SessionConfig sessions;
  DecisionPointConfig decision_point;
  LoginConfig login;  // [users] and [oidc]
  LimitConfig limits;
};

// Reads `path`; relative paths in it are relative to its folder.
//   kIoError        cannot be read
//   kUnsafePath     others can change it
//   kConfigInvalid  not TOML, an unknown key, a wrong type, out of range;
//                   the detail is "file:line: what"
[[nodiscard]] Result<Config> LoadConfig(const std::string& path);

// The text of a new authz.toml.
[[nodiscard]] std::string ConfigText(const Config& config);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_CONFIG_H_
