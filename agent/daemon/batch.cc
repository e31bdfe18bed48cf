#include "agent/daemon/batch.h"

#include "attest/base/digest.h"
#include "attest/statement/limits.h"
#include "attest/statement/statement.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::agent {
namespace {

using statement::StatementType;

// What an Action holds beside its request: digest, salt, sequence, time, an
// approval and the tags and lengths of all.
constexpr size_t kActionOverhead = 256;
// What a BatchEvidence holds beside its leaves: statement, quote with up to 24
// PCR values, up to 2,048 indices to prove.
constexpr size_t kEvidenceOverhead = 16 * 1024;
constexpr size_t kLeafFraming = 4;  // Tag and length of one leaf.

}  // namespace

bool FitsAction(size_t request_size) {
  return request_size + kActionOverhead <= statement::kMaxActionSize;
}

v1::ActionProof AnsweredBatch::ProofOf(uint32_t leaf) const {
  v1::ActionProof proof;
  proof.set_action(entry.batch.actions(static_cast<int>(leaf)));
  proof.set_leaf_index(leaf);
  for (const Sha256Digest& hash : tree.Path(leaf)) {
    proof.add_path(AsString(hash));
  }
  *proof.mutable_batch() = entry.batch.statement();
  *proof.mutable_quote() = quote;
  return proof;
}

std::vector<std::string> Batch::EndedSessions() const {
  std::vector<std::string> ended;
  for (const PendingAction& caller : callers) {
    if (caller.is_end()) ended.push_back(caller.session->id);
  }
  return ended;
}

v1::BatchEvidence Batch::Evidence() const {
  v1::BatchEvidence evidence;
  *evidence.mutable_statement() = entry.batch.statement();
  *evidence.mutable_actions() = entry.batch.actions();
  if (quote.has_value()) *evidence.mutable_quote() = *quote;
  evidence.set_late(late);
  evidence.mutable_prove()->Add(prove.begin(), prove.end());
  return evidence;
}

BatchBuilder::BatchBuilder(const Device& device, const JournalHead& head,
                           const std::string& epoch_nonce, size_t max_leaves)
    : device_(device),
      epoch_nonce_(epoch_nonce),
      max_leaves_(std::min<size_t>(max_leaves, statement::kMaxBatchLeaves)),
      size_(kEvidenceOverhead),
      batch_(std::make_unique<Batch>()) {
  batch_->before = head;
  batch_->entry.sequence = head.next_batch;
}

std::optional<PendingAction> BatchBuilder::Add(PendingAction action) {
  if (full()) return action;
  v1::Action leaf;
  leaf.set_action_request(action.request);
  leaf.set_session_binding_digest(AsString(action.session->binding_digest));
  leaf.set_sequence(batch_->before.next_action + batch_->callers.size());
  leaf.set_salt(AsString(RandomBytes(16)));
  leaf.set_requested_at_ms(action.requested_at_ms);
  leaf.set_session_end(action.session_end);
  if (action.approval.has_value()) *leaf.mutable_approval() = *action.approval;
  const Bytes body = statement::SerializeStatement(leaf);
  if (size_ + body.size() + kLeafFraming > statement::kMaxBatchSize) {
    return action;
  }
  size_ += body.size() + kLeafFraming;
  if (action.prove) {
    batch_->prove.push_back(static_cast<uint32_t>(batch_->callers.size()));
  }
  leaves_.push_back(statement::LeafHash(StatementType::kAction, body));
  batch_->entry.batch.add_actions(AsString(body));
  batch_->callers.push_back(std::move(action));
  return std::nullopt;
}

std::unique_ptr<Batch> BatchBuilder::Close() {
  const JournalHead& head = batch_->before;
  const auto size = static_cast<uint32_t>(batch_->callers.size());
  batch_->tree = statement::MerkleTree(std::move(leaves_));
  v1::ActionBatch statement;
  statement.set_issuer(device_.service.issuer);
  statement.set_device_id(device_.record.device_id());
  statement.set_ak_name(device_.record.ak_name());
  statement.set_journal_id(AsString(head.journal_id));
  statement.set_epoch_nonce(epoch_nonce_);
  statement.set_batch_sequence(head.next_batch);
  statement.set_first_action_sequence(head.next_action);
  statement.set_tree_size(size);
  statement.set_root(AsString(batch_->tree.root()));
  statement.set_previous_batch_digest(AsString(head.previous_batch_digest));
  const Bytes body = statement::SerializeStatement(statement);

  v1::Statement& sent = *batch_->entry.batch.mutable_statement();
  sent.set_type(std::string(statement::TypeUri(StatementType::kActionBatch)));
  sent.set_body(AsString(body));
  batch_->after = head;
  ++batch_->after.next_batch;
  batch_->after.next_action += size;
  batch_->after.previous_batch_digest =
      statement::StatementDigest(StatementType::kActionBatch, body);
  return std::move(batch_);
}

std::unique_ptr<Batch> RecoveredBatch(JournalEntry entry,
                                      const JournalHead& head) {
  auto batch = std::make_unique<Batch>();
  batch->before = head;  // Only its journal_id and ak_name are looked at.
  batch->after = head;
  batch->after.next_batch = entry.sequence + 1;
  batch->after.previous_batch_digest = statement::StatementDigest(
      StatementType::kActionBatch, AsBytes(entry.batch.statement().body()));
  batch->entry = std::move(entry);
  batch->late = true;
  return batch;
}

}  // namespace countersign::agent
