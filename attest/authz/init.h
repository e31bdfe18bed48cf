// `countersign-authz init`: everything that a new service needs, in one
// folder, with nothing left to edit before it runs.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_INIT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_INIT_H_

#include <string>

#include "attest/base/result.h"

namespace countersign::authz {

struct InitOptions {
  std::string dir;
  std::string issuer;
  std::string tenant = "default";
  std::string listen;           // Empty: 127.0.0.1 and the issuer's port.
  std::string database;         // Empty: ledger.db in dir. Or a server's URI.
  std::string tls_certificate;  // Both empty: a private CA makes them.
  std::string tls_key;
};

// Makes dir/{authz.toml, policy.toml, ek-roots/, keys/service.pem,
// keys/ledger.pem, ledger.db, ledger.head, trust/{service.jwks.json,
// ledger.vkey, ek-roots/}} and, without a certificate at hand,
// tls/{ca,cert,key}.pem. The rule file denies everything.
//   kBadRequest     dir holds a service already, or the database a ledger
//   kIoError        it cannot be written
//   kConfigInvalid  the issuer or another option does not hold
[[nodiscard]] Status InitService(const InitOptions& options);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_INIT_H_
