// One batch: the actions that one quote covers, from its closing to the
// service's answer. Building one is pure.
#ifndef COUNTERSIGN_AGENT_DAEMON_BATCH_H_
#define COUNTERSIGN_AGENT_DAEMON_BATCH_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/device.h"
#include "agent/daemon/journal.h"
#include "agent/daemon/quote_order.h"
#include "agent/daemon/session.h"
#include "attest/base/result.h"
#include "attest/statement/merkle.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/service.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::agent {

// What stays of a batch once it is answered: enough to prove one leaf.
struct AnsweredBatch {
  JournalEntry entry;
  statement::MerkleTree tree;
  v1::TpmQuote quote;

  [[nodiscard]] v1::ActionProof ProofOf(uint32_t leaf) const;
};

struct ActionOutcome {
  v1::ActionDecision decision;
  uint64_t sequence = 0;
  Sha256Digest action_digest{};
  std::shared_ptr<const AnsweredBatch> batch;
  uint32_t leaf = 0;
};

// An action that waits for its number, the end of a session, or another use of
// one that needs no number but a fresh lease.
struct PendingAction {
  SessionPtr session;
  std::string request;      // Exact bytes of an ActionRequest, checked.
  std::string session_end;  // Or the reason of the end.
  bool lease_only = false;  // Or neither: never in a batch.
  std::optional<v1::Approval> approval;
  bool prove = false;  // The answer is to carry a ledger proof.
  int64_t requested_at_ms = 0;
  // Runs exactly once; of an end it may be empty.
  std::function<void(Result<ActionOutcome>)> done;

  [[nodiscard]] bool is_end() const { return !session_end.empty(); }
  void Finish(Result<ActionOutcome> outcome) {
    if (auto callback = std::exchange(done, {})) callback(std::move(outcome));
  }
};

struct Batch {
  JournalEntry entry;
  JournalHead before;
  JournalHead after;
  statement::MerkleTree tree{{}};  // Not of one that was recovered.
  std::vector<uint32_t> prove;
  // One for each leaf; none when it was recovered after a restart.
  std::vector<PendingAction> callers;
  std::optional<v1::TpmQuote> quote;
  // Until it is answered or late: late batches need not keep the order.
  std::optional<QuoteOrder::Place> place;
  bool late = false;

  [[nodiscard]] std::vector<std::string> EndedSessions() const;
  [[nodiscard]] v1::BatchEvidence Evidence() const;
  [[nodiscard]] Sha256Digest digest() const {
    return after.previous_batch_digest;
  }
};

// Fills one batch. Give it actions until it is full, then Close it.
class BatchBuilder {
 public:
  BatchBuilder(const Device& device, const JournalHead& head,
               const std::string& epoch_nonce, size_t max_leaves);

  // Takes `action`, which gets the next number, or gives it back when the
  // batch has no more room.
  [[nodiscard]] std::optional<PendingAction> Add(PendingAction action);
  [[nodiscard]] bool empty() const { return batch_->callers.empty(); }
  [[nodiscard]] bool full() const {
    return batch_->callers.size() >= max_leaves_;
  }
  // Requires !empty().
  [[nodiscard]] std::unique_ptr<Batch> Close();

 private:
  const Device& device_;
  const std::string& epoch_nonce_;
  size_t max_leaves_;
  size_t size_ = 0;
  statement::HashPath leaves_;
  std::unique_ptr<Batch> batch_;
};

// A batch as the journal kept it, to be quoted again and sent late.
[[nodiscard]] std::unique_ptr<Batch> RecoveredBatch(JournalEntry entry,
                                                    const JournalHead& head);

// True if an action around a request of this size fits its bound.
[[nodiscard]] bool FitsAction(size_t request_size);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_BATCH_H_
