#include "attest/authz/batch_record.h"

#include <set>

#include "attest/authz/approval.h"
#include "attest/authz/session_end.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/verifier/tpm_clock_check.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxRuleName = 100;

std::string DigestOrEmpty(const Sha256Digest& digest) {
  return digest == Sha256Digest{} ? std::string() : AsString(digest);
}

uint32_t ReasonOf(const LeafDecision& leaf) {
  return leaf.permitted() ? 0 : static_cast<uint32_t>(leaf.decision.reason);
}

// The pseudonym of each session's subject, asked for once.
using Pseudonyms = std::map<std::string, std::string>;
Result<std::string> PseudonymOf(StoreTransaction& transaction,
                                const LeafDecision& leaf,
                                Pseudonyms& pseudonyms) {
  if (leaf.session == nullptr) return std::string();
  const std::string& subject = leaf.session->row.subject;
  const auto found = pseudonyms.find(subject);
  if (found != pseudonyms.end()) return found->second;
  CS_ASSIGN_OR_RETURN(std::string pseudonym,
                      SubjectPseudonym(transaction, subject));
  return pseudonyms.emplace(subject, std::move(pseudonym)).first->second;
}

v1::LedgerEntry EntryOf(const DecidedBatch& batch, const LeafDecision& leaf,
                        const Sha256Digest& evidence_sha256) {
  v1::LedgerEntry entry;
  if (leaf.ends_session) {
    entry = SessionEndEntry(leaf.session->row, leaf.session->row.end_reason);
  } else {
    entry.set_kind(v1::ENTRY_KIND_DECISION);
    entry.set_device_id(AsString(batch.device.row.id));
    if (leaf.session != nullptr) {
      entry.set_session_id(AsString(leaf.session->row.id));
      entry.set_refers_to(leaf.session->row.ledger_index + 1);
    }
    if (leaf.leaf != nullptr) {
      entry.set_session_binding_digest(
          leaf.leaf->action.session_binding_digest());
    }
    entry.set_decision(std::string(Name(leaf.decision.outcome)));
    entry.set_reason(ReasonOf(leaf));
    entry.set_approval_grade(leaf.decision.approval);
    if (leaf.leaf != nullptr) {
      entry.set_approval_reference(leaf.leaf->action.approval().reference());
    }
    entry.set_rule(leaf.decision.rule);
    entry.set_policy_version(batch.policy.version());
    entry.set_decision_request_sha256(DigestOrEmpty(leaf.request_sha256));
    entry.set_decision_response_sha256(DigestOrEmpty(leaf.response_sha256));
    entry.set_grant_jti(leaf.grant_jti);
    entry.set_grant_expires_s(leaf.grant_expires_s);
    entry.set_receipt_jti(leaf.receipt_jti);
  }
  entry.set_action_digest(AsString(leaf.digest));
  entry.set_batch_digest(AsString(batch.appraised.digest));
  entry.set_attest_sha256(AsString(batch.appraised.pcrs.attest_sha256()));
  entry.set_evidence_sha256(AsString(evidence_sha256));
  entry.set_late(batch.late);
  return entry;
}

Status PutLeaf(StoreTransaction& transaction, const DecidedBatch& batch,
               size_t index, uint64_t ledger_index) {
  LeafDecision& leaf = batch.leaves[index];
  if (leaf.ends_session) {
    leaf.session->row.end_index = ledger_index;
    CS_RETURN_IF_ERROR(transaction.PutSession(leaf.session->row));
  }
  ActionRow row;
  row.digest = leaf.digest;
  row.batch = batch.appraised.digest;
  row.leaf_index = static_cast<uint32_t>(index);
  if (leaf.session != nullptr) row.session_id = leaf.session->row.id;
  row.decision = ToBytes(AsBytes(
      DecisionOf(leaf, batch.policy, ledger_index).SerializeAsString()));
  row.receipt_jti = leaf.receipt_jti;
  row.decided_ms = leaf.decided_ms;
  row.ledger_index = ledger_index;
  return transaction.AddAction(row);
}

Status PutState(StoreTransaction& transaction, const DecidedBatch& batch) {
  const tpm::TpmClock& clock = batch.appraised.pcrs.clock();
  CS_RETURN_IF_ERROR(transaction.PutJournal(Advance(
      batch.chain, batch.appraised.batch, batch.appraised.digest, clock)));
  CS_ASSIGN_OR_RETURN(auto ak,
                      transaction.FindAk(batch.device.known.ak.name()));
  if (!ak) return Fail(ErrorCode::kAkNotBound);
  // A late batch is from earlier, and does not turn the clock back.
  if (!batch.late) ak->clock = clock;
  ak->seen_ms = batch.now_ms;
  return transaction.PutAk(*ak);
}

v1::DecisionRecord::Leaf LeafRecord(const LeafDecision& leaf,
                                    v1::DecisionRecord& record) {
  v1::DecisionRecord::Leaf kept;
  kept.set_task_actions(leaf.task_actions);
  if (!leaf.point) return kept;
  const Verdict& point = *leaf.point;
  if (point.body == nullptr) {
    kept.set_failure(static_cast<uint32_t>(point.decision.reason));
    kept.set_failure_detail(point.decision.detail);
    return kept;
  }
  // The leaves of one body follow each other.
  if (record.answers().empty() || *record.answers().rbegin() != *point.body) {
    record.add_answers(*point.body);
  }
  kept.set_answer(static_cast<uint32_t>(record.answers_size()));
  kept.set_shape(static_cast<uint32_t>(point.shape));
  kept.set_place(point.place);
  return kept;
}

v1::DecisionRecord RecordOf(const DecidedBatch& batch) {
  v1::DecisionRecord record;
  record.set_time_ms(batch.now_ms);
  for (const auto& [digest, session] : batch.sessions) {
    if (session == nullptr) continue;
    auto& kept = *record.add_sessions();
    kept.set_binding_digest(digest);
    kept.set_age_s(session->AgeS(batch.now_ms));
    for (const std::string& group : session->facts.groups) {
      kept.add_groups(group);
    }
    kept.set_acr(session->facts.acr);
  }
  for (size_t i = 0; i < batch.leaves.size(); ++i) {
    const LeafDecision& leaf = batch.leaves[i];
    if (leaf.request_sha256 == Sha256Digest{}) continue;
    auto kept = LeafRecord(leaf, record);
    kept.set_leaf_index(static_cast<uint32_t>(i));
    *record.add_leaves() = std::move(kept);
  }
  return record;
}

uint64_t& TaskOf(const LeafDecision& leaf, TaskCounts& tasks) {
  return tasks.At(leaf.session->row.id, leaf.leaf->request.task_id());
}

// Counts a permit for its task; false if the rule allows no further one.
Result<bool> CountForTask(StoreTransaction& transaction,
                          const LeafDecision& leaf, TaskCounts& tasks) {
  CS_RETURN_IF_ERROR(tasks.Load(transaction, leaf.session->row.id,
                                leaf.leaf->request.task_id()));
  uint64_t& done = TaskOf(leaf, tasks);
  const uint64_t most = leaf.decision.max_actions_per_task;
  if (most != 0 && done >= most) return false;
  ++done;
  return true;
}

}  // namespace

v1::ActionDecision DecisionOf(const LeafDecision& leaf, const Policy& policy,
                              uint64_t ledger_index) {
  v1::ActionDecision decision;
  decision.set_decision(std::string(Name(leaf.decision.outcome)));
  decision.set_reason(ReasonOf(leaf));
  decision.set_detail(
      Printable(leaf.detail.empty() ? leaf.decision.detail : leaf.detail));
  decision.set_rule(Printable(leaf.decision.rule, kMaxRuleName));
  if (leaf.request_sha256 != Sha256Digest{}) {
    decision.set_policy_version(policy.version());
  }
  decision.set_ledger_index(ledger_index);
  decision.set_grant_jti(leaf.grant_jti);
  decision.set_grant_expires_s(leaf.grant_expires_s);
  decision.set_approval_grade(leaf.decision.approval);
  return decision;
}

Status RecheckBatch(const Config& config, StoreTransaction& transaction,
                    DecidedBatch& batch) {
  const v1::ActionBatch& statement = batch.appraised.batch;
  CS_ASSIGN_OR_RETURN(const StoredDevice device,
                      FindStoredDevice(config, transaction, batch.device.row.id,
                                       batch.device.known.ak.name()));
  if (device.known.out_of_service) return Fail(*device.known.out_of_service);
  CS_ASSIGN_OR_RETURN(
      batch.chain, ReadChain(transaction, statement, batch.appraised.digest));
  if (batch.chain.repeated) {
    return Fail(ErrorCode::kStorageBusy, "this batch was just accepted");
  }
  CS_RETURN_IF_ERROR(CheckNext(batch.chain, statement));
  // A late batch is judged by the clock of its journal, which is as it was:
  // the batch is still the next one.
  if (!batch.evidence.late() && device.ak.clock) {
    CS_RETURN_IF_ERROR(verifier::CheckNotBefore(*device.ak.clock,
                                                batch.appraised.pcrs.clock()));
  }

  std::set<const BatchSession*> ended;
  for (const auto& [digest, session] : batch.sessions) {
    if (session == nullptr) continue;
    CS_ASSIGN_OR_RETURN(const auto now,
                        transaction.FindSession(session->row.id));
    if (!now || now->ended()) ended.insert(session.get());
  }
  std::vector<Sha256Digest> digests;
  digests.reserve(batch.leaves.size());
  for (const LeafDecision& leaf : batch.leaves) digests.push_back(leaf.digest);
  CS_ASSIGN_OR_RETURN(const auto known, transaction.KnownActions(digests));
  const std::set<Sha256Digest> before(known.begin(), known.end());
  TaskCounts tasks;
  for (LeafDecision& leaf : batch.leaves) {
    const bool accepted =
        leaf.ends_session || leaf.decision.outcome != Outcome::kDeny;
    if (accepted && ended.contains(leaf.session)) {
      leaf.ends_session = false;
      leaf.Deny(ErrorCode::kSessionEnded);
    }
    if (before.contains(leaf.digest)) {
      leaf.ends_session = false;
      leaf.Deny(ErrorCode::kDuplicateAction);
    }
    if (!leaf.permitted() || leaf.ends_session) continue;
    CS_ASSIGN_OR_RETURN(const bool within,
                        CountForTask(transaction, leaf, tasks));
    if (!within) {
      leaf.Deny(ErrorCode::kTaskLimit);
      continue;
    }
    if (!leaf.approved()) continue;
    CS_ASSIGN_OR_RETURN(
        const bool first,
        ConsumeApproval(transaction, leaf.session->row,
                        leaf.leaf->action.approval().reference()));
    if (first) continue;
    leaf.Deny(ErrorCode::kApprovalUsed);
    --TaskOf(leaf, tasks);
  }
  return tasks.Put(transaction);
}

Result<uint64_t> RecordBatch(const LedgerWriter& ledger,
                             StoreTransaction& transaction,
                             DecidedBatch& batch) {
  // As protobuf would serialise both in one message.
  v1::BatchEvidence decided;
  *decided.mutable_decided() = RecordOf(batch);
  const std::string bytes =
      batch.evidence.SerializeAsString() + decided.SerializeAsString();
  const Sha256Digest evidence_sha256 = Sha256(AsBytes(bytes));
  CS_RETURN_IF_ERROR(transaction.PutEvidence(evidence_sha256, AsBytes(bytes)));
  CS_RETURN_IF_ERROR(transaction.AddBatch(
      {.digest = batch.appraised.digest,
       .device_id = batch.device.row.id,
       .ak_name = batch.device.known.ak.name(),
       .journal_id = batch.chain.journal.journal_id,
       .batch_sequence = batch.appraised.batch.batch_sequence(),
       .attest_sha256 = batch.appraised.pcrs.attest_sha256(),
       .evidence_sha256 = evidence_sha256,
       .received_ms = batch.now_ms}));

  // The reset counters are those of the TPM, whoever's action this is.
  const tpm::TpmClock clock = batch.appraised.pcrs.clock();
  if (!batch.late) {
    const auto why = [&clock](const SessionRow& session) -> std::string_view {
      return session.clock.SameBoot(clock) ? "" : kEndReboot;
    };
    CS_RETURN_IF_ERROR(EndSessions(ledger, transaction, batch.device.row.id,
                                   batch.now_ms, why));
  }
  std::vector<v1::LedgerEntry> entries;
  entries.reserve(batch.leaves.size() + 1);
  const bool finding = !batch.chain.exists && batch.chain.ak_has_another;
  if (finding) {
    v1::LedgerEntry subject;
    subject.set_device_id(AsString(batch.device.row.id));
    subject.set_batch_digest(AsString(batch.appraised.digest));
    entries.push_back(FindingEntry(
        std::move(subject), {ErrorCode::kSequenceConflict,
                             "a new journal of an AK that has another"}));
  }
  Pseudonyms pseudonyms;
  for (const LeafDecision& leaf : batch.leaves) {
    entries.push_back(EntryOf(batch, leaf, evidence_sha256));
    CS_ASSIGN_OR_RETURN(*entries.back().mutable_subject_pseudonym(),
                        PseudonymOf(transaction, leaf, pseudonyms));
  }
  CS_ASSIGN_OR_RETURN(const uint64_t first,
                      ledger.Append(transaction, entries));
  const uint64_t first_leaf = first + (finding ? 1 : 0);
  for (size_t i = 0; i < batch.leaves.size(); ++i) {
    CS_RETURN_IF_ERROR(PutLeaf(transaction, batch, i, first_leaf + i));
  }
  CS_RETURN_IF_ERROR(PutState(transaction, batch));
  return first_leaf;
}

}  // namespace countersign::authz
