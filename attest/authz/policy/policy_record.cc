#include "attest/authz/policy/policy_record.h"

#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kInForce = "policy_in_force";

}  // namespace

Status RecordPolicy(Store& store, LedgerWriter& ledger, const Policy& policy) {
  const Sha256Digest digest = Sha256(AsBytes(policy.text()));
  std::optional<uint64_t> index;
  const auto record = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(const auto last, transaction.FindSecret(kInForce));
    if (last && Equal(*last, digest)) return {};
    v1::LedgerEntry entry;
    entry.set_kind(v1::ENTRY_KIND_ADMIN);
    entry.set_policy_version(policy.version());
    entry.set_evidence_sha256(AsString(digest));
    entry.set_detail("policy in force");
    CS_RETURN_IF_ERROR(transaction.PutEvidence(digest, AsBytes(policy.text())));
    CS_ASSIGN_OR_RETURN(index, ledger.Append(transaction, {&entry, 1}));
    return transaction.PutSecret(kInForce, digest);
  };
  CS_RETURN_IF_ERROR(store.Write(record));
  if (!index) return {};
  return ledger.Publish(*index);
}

}  // namespace countersign::authz
