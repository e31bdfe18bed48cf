#include "attest/authz/installation.h"

namespace countersign::authz {

Installation::Installation(Config config, ServiceKeys keys,
                           std::unique_ptr<SqlStore> store)
    : config_(std::move(config)),
      keys_(std::move(keys)),
      store_(std::move(store)),
      ledger_(*store_, keys_.ledger, config_.head_file, clock_) {}

Result<std::unique_ptr<Installation>> Installation::Open(
    const std::string& config_path, SqlStore::Mode mode) {
  CS_ASSIGN_OR_RETURN(Config config, LoadConfig(config_path));
  CS_ASSIGN_OR_RETURN(ServiceKeys keys, LoadServiceKeys(config));
  CS_ASSIGN_OR_RETURN(auto store, OpenStore(config.database, mode));
  return std::unique_ptr<Installation>(
      new Installation(std::move(config), std::move(keys), std::move(store)));
}

Result<Secret> Installation::EpochKey() {
  std::optional<Bytes> key;
  const auto find = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(key, view.FindSecret(kEpochKeyName));
    return {};
  };
  CS_RETURN_IF_ERROR(store_->Read(find));
  if (!key) return Fail(ErrorCode::kStorageCorrupt, "the epoch key is gone");
  return Secret(*std::move(key));
}

}  // namespace countersign::authz
