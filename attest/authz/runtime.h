// The service put together from its configuration: the one place that names
// concrete classes. `serve` and the administrative commands share it.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_RUNTIME_H_
#define COUNTERSIGN_ATTEST_AUTHZ_RUNTIME_H_

#include <memory>

#include "attest/authz/service.h"
#include "attest/authz/service_keys.h"
#include "attest/authz/storage/sqlite_store.h"

namespace countersign::authz {

class Runtime {
 public:
  // Opens store, keys and policy, and makes sure that the ledger extends the
  // head that was last signed (kLedgerRolledBack, kLedgerFork).
  [[nodiscard]] static Result<std::unique_ptr<Runtime>> Open(
      const std::string& config_path);

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const ServiceKeys& keys() const { return keys_; }
  [[nodiscard]] Store& store() { return *store_; }
  [[nodiscard]] LedgerWriter& ledger() { return ledger_; }
  [[nodiscard]] PolicyHolder& policy() { return *policy_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] Service service() {
    return {config_, *store_, ledger_,       *policy_,
            epochs_, issuer_, keys_.service, clock_};
  }

  // Keeps the text of the policy in force and notes it in the ledger, if it
  // is not the one noted last: decisions name it by its digest.
  [[nodiscard]] Status NotePolicy();

 private:
  Runtime(Config config, ServiceKeys keys, std::unique_ptr<Store> store,
          std::unique_ptr<PolicyHolder> policy, Secret epoch_key);

  const Config config_;
  const ServiceKeys keys_;
  SystemClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<PolicyHolder> policy_;
  LedgerWriter ledger_;
  EpochNonces epochs_;
  GrantIssuer issuer_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_RUNTIME_H_
