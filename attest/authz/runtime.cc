#include "attest/authz/runtime.h"

#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kEpochKey = "epoch";
constexpr std::string_view kPolicyNoted = "policy_noted";

// Made by whichever process comes first.
Result<Secret> EpochKey(Store& store) {
  std::optional<Bytes> key;
  const auto find = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(key, transaction.FindSecret(kEpochKey));
    if (key) return {};
    key = RandomBytes(32);
    return transaction.PutSecret(kEpochKey, *key);
  };
  CS_RETURN_IF_ERROR(store.Write(find));
  return Secret(*std::move(key));
}

}  // namespace

Runtime::Runtime(Config config, ServiceKeys keys, std::unique_ptr<Store> store,
                 std::unique_ptr<PolicyHolder> policy, Secret epoch_key)
    : config_(std::move(config)),
      keys_(std::move(keys)),
      store_(std::move(store)),
      policy_(std::move(policy)),
      ledger_(*store_, keys_.ledger, config_.head_file, clock_),
      epochs_(std::move(epoch_key), config_.sessions.epoch_ttl_s),
      issuer_(keys_.service, config_.issuer, config_.ledger_origin) {}

Result<std::unique_ptr<Runtime>> Runtime::Open(const std::string& config_path) {
  CS_ASSIGN_OR_RETURN(Config config, LoadConfig(config_path));
  CS_ASSIGN_OR_RETURN(ServiceKeys keys, LoadServiceKeys(config));
  CS_ASSIGN_OR_RETURN(auto policy, PolicyHolder::Load(config.policy));
  CS_ASSIGN_OR_RETURN(
      auto store,
      SqliteStore::Open(config.database, SqliteStore::Mode::kMustExist));
  CS_ASSIGN_OR_RETURN(Secret epoch_key, EpochKey(*store));
  std::unique_ptr<Runtime> runtime(
      new Runtime(std::move(config), std::move(keys), std::move(store),
                  std::move(policy), std::move(epoch_key)));
  CS_RETURN_IF_ERROR(runtime->ledger_.CheckHead());
  return runtime;
}

Status Runtime::NotePolicy() {
  const std::shared_ptr<const Policy> policy = policy_->Get();
  const Sha256Digest digest = Sha256(AsBytes(policy->text()));
  bool noted = false;
  uint64_t index = 0;
  const auto note = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(const auto last, transaction.FindSecret(kPolicyNoted));
    if (last && Equal(*last, digest)) return {};
    v1::LedgerEntry entry;
    entry.set_kind(v1::ENTRY_KIND_ADMIN);
    entry.set_policy_version(policy->version());
    entry.set_evidence_sha256(AsString(digest));
    entry.set_detail("policy in force");
    CS_RETURN_IF_ERROR(
        transaction.PutEvidence(digest, AsBytes(policy->text())));
    CS_ASSIGN_OR_RETURN(index, ledger_.Append(transaction, {&entry, 1}));
    noted = true;
    return transaction.PutSecret(kPolicyNoted, digest);
  };
  CS_RETURN_IF_ERROR(store_->Write(note));
  if (noted) CS_RETURN_IF_ERROR(ledger_.Publish(index));
  return {};
}

}  // namespace countersign::authz
