#include "attest/authz/batch_answer.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "attest/authz/challenge_store.h"

namespace countersign::authz {
namespace {

// Fewer leaves than this are signed sooner than a thread starts.
constexpr size_t kLeavesPerThread = 16;

Status AddTokens(const Service& service, const CommittedLeaf& committed,
                 v1::ActionDecision& decision) {
  if (committed.leaf == nullptr || committed.tokens == nullptr ||
      decision.grant_jti().empty()) {
    return {};
  }
  const int64_t now_s = service.clock.NowMs() / 1000;
  const bool approved = !decision.approval_grade().empty();
  const TokenAction action{
      .request = committed.leaf->request,
      .digest = committed.digest,
      .ledger_index = decision.ledger_index(),
      .issued_s = committed.decided_ms / 1000,
      .approval = approved ? &committed.leaf->action.approval() : nullptr};
  if (now_s < decision.grant_expires_s()) {
    CS_ASSIGN_OR_RETURN(
        *decision.mutable_grant(),
        service.issuer.Grant(*committed.tokens, action, decision.grant_jti(),
                             decision.grant_expires_s()));
  }
  if (now_s < action.issued_s + kReceiptTtlS) {
    CS_ASSIGN_OR_RETURN(*decision.mutable_receipt(),
                        service.issuer.Receipt(action, committed.receipt_jti));
  }
  return {};
}

Status SignAll(const Service& service, std::span<const CommittedLeaf> leaves,
               v1::BatchAnswer& answer) {
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const size_t threads =
      std::clamp(leaves.size() / kLeavesPerThread, size_t{1}, cores);
  std::atomic<size_t> next{0};
  std::vector<Status> failures(threads);
  const auto work = [&](size_t thread) {
    for (size_t i = next++; i < leaves.size(); i = next++) {
      Status signed_leaf = AddTokens(
          service, leaves[i], *answer.mutable_decisions(static_cast<int>(i)));
      if (!signed_leaf) failures[thread] = std::move(signed_leaf);
    }
  };
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work, i);
  work(0);
  helpers.clear();
  for (Status& failure : failures) CS_RETURN_IF_ERROR(std::move(failure));
  return {};
}

Status AddProofs(const Service& service, const v1::BatchEvidence& evidence,
                 v1::BatchAnswer& answer) {
  if (evidence.prove().empty()) return {};
  return service.store.Read([&](StoreView& view) -> Status {
    for (const uint32_t leaf : evidence.prove()) {
      if (leaf >= static_cast<uint32_t>(answer.decisions_size())) {
        return Fail(ErrorCode::kBadRequest, "prove names no leaf");
      }
      v1::ActionDecision& decision =
          *answer.mutable_decisions(static_cast<int>(leaf));
      if (decision.has_proof()) continue;
      CS_ASSIGN_OR_RETURN(*decision.mutable_proof(),
                          LedgerWriter::Prove(view, decision.ledger_index()));
    }
    return {};
  });
}

}  // namespace

Result<v1::BatchAnswer> AnswerBatch(const Service& service,
                                    const v1::BatchEvidence& evidence,
                                    std::span<const CommittedLeaf> leaves) {
  v1::BatchAnswer answer;
  for (const CommittedLeaf& leaf : leaves) {
    *answer.add_decisions() = leaf.decision;
  }
  CS_RETURN_IF_ERROR(SignAll(service, leaves, answer));
  CS_RETURN_IF_ERROR(AddProofs(service, evidence, answer));
  return answer;
}

Status AddFreshness(const Service& service, const DeviceRow& device,
                    const BatchSessions& sessions, v1::BatchAnswer& answer) {
  answer.set_epoch_nonce(
      AsString(service.epochs.Mint(device.id, service.clock.NowMs())));
  answer.set_epoch_ttl_s(service.epochs.ttl_s());
  return service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto now, view.FindDevice(device.id));
    if (!now) return Fail(ErrorCode::kDeviceUnknown);
    for (const auto& [digest, session] : sessions) {
      if (session == nullptr) continue;
      CS_ASSIGN_OR_RETURN(*answer.add_leases(),
                          LeaseOf(service, view, session->row.id, *now));
    }
    return {};
  });
}

}  // namespace countersign::authz
