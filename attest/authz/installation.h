// A service's folder, opened: what `serve` and the administrative commands
// stand on. Only here and in main are concrete classes named.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_INSTALLATION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_INSTALLATION_H_

#include <memory>

#include "attest/authz/ledger_writer.h"
#include "attest/authz/service_keys.h"
#include "attest/authz/storage/open_store.h"
#include "attest/base/secret.h"

namespace countersign::authz {

class Installation {
 public:
  // Reads the configuration, the keys and the database. Neither the policy
  // nor the ledger is judged: auditing works with both in ruins.
  [[nodiscard]] static Result<std::unique_ptr<Installation>> Open(
      const std::string& config_path,
      SqlStore::Mode mode = SqlStore::Mode::kMustExist);

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const ServiceKeys& keys() const { return keys_; }
  [[nodiscard]] SqlStore& store() { return *store_; }
  // Before the first Append: ledger().CheckHead().
  [[nodiscard]] LedgerWriter& ledger() { return ledger_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  // Made by `init`; kStorageCorrupt if it is gone.
  [[nodiscard]] Result<Secret> EpochKey();

 private:
  Installation(Config config, ServiceKeys keys,
               std::unique_ptr<SqlStore> store);

  const Config config_;
  const ServiceKeys keys_;
  const SystemClock clock_;
  const std::unique_ptr<SqlStore> store_;
  LedgerWriter ledger_;
};

// Name of the epoch key among the store's secrets.
inline constexpr std::string_view kEpochKeyName = "epoch";

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_INSTALLATION_H_
