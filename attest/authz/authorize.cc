#include "attest/authz/authorize.h"

#include <algorithm>

#include "attest/authz/batch_answer.h"
#include "attest/authz/batch_chain.h"
#include "attest/authz/batch_record.h"
#include "attest/base/digest.h"
#include "attest/statement/statement.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

// One batch on its way through the steps below.
struct Batch {
  explicit Batch(const v1::BatchEvidence& batch_evidence)
      : evidence(batch_evidence),
        digest(statement::StatementDigest(
            StatementType::kActionBatch,
            AsBytes(batch_evidence.statement().body()))) {}

  const v1::BatchEvidence& evidence;
  const Sha256Digest digest;
  v1::ActionBatch claimed;  // Hostile until appraised.
  std::optional<StoredDevice> device;
  ChainState chain;
  BatchSessions sessions;
  TaskCounts tasks;
  std::optional<verifier::AppraisedBatch> appraised;
  std::optional<ErrorCode> too_late;
  std::vector<LeafDecision> leaves;
};

// Finds what the store has about the device and journal that are named.
Status Look(const Service& service, Batch& batch) {
  CS_ASSIGN_OR_RETURN(batch.claimed,
                      statement::ParseStatement<v1::ActionBatch>(
                          AsBytes(batch.evidence.statement().body()),
                          statement::kMaxActionBatchSize));
  return service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(batch.device,
                        FindStoredDevice(service.config, view,
                                         AsBytes(batch.claimed.device_id()),
                                         AsBytes(batch.claimed.ak_name())));
    CS_ASSIGN_OR_RETURN(batch.chain,
                        ReadChain(view, batch.claimed, batch.digest));
    return {};
  });
}

// A batch that was accepted before is not judged by today's clock and chain.
std::optional<tpm::TpmClock> LastClock(const Batch& batch) {
  if (batch.chain.repeated) return std::nullopt;
  if (!batch.evidence.late()) return batch.device->ak.clock;
  if (!batch.chain.exists) return std::nullopt;
  return batch.chain.journal.clock;
}

Status CheckChain(const Service& service, Batch& batch) {
  if (batch.chain.repeated) return {};
  CS_RETURN_IF_ERROR(CheckNext(batch.chain, batch.claimed));
  if (batch.evidence.late()) batch.too_late = ErrorCode::kLateBatch;
  Status epoch = service.epochs.Check(batch.device->row.id,
                                      AsBytes(batch.claimed.epoch_nonce()),
                                      service.clock.NowMs());
  if (epoch) return {};
  if (epoch.error().code != ErrorCode::kEpochExpired) return epoch;
  if (!batch.too_late) batch.too_late = ErrorCode::kEpochExpired;
  return {};
}

Status Appraise(const Service& service, Batch& batch) {
  const verifier::ExpectedBatch expected{
      .last_clock = LastClock(batch),
      .check_chain = [&](const v1::ActionBatch&, const Sha256Digest&) {
        return CheckChain(service, batch);
      }};
  CS_ASSIGN_OR_RETURN(
      const auto result,
      verifier::AppraiseBatch(batch.evidence, batch.device->known, expected));
  if (!result.trusted()) return tl::unexpected<Error>(result.refusal());
  batch.appraised = result.claims();
  return service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(
        batch.sessions,
        FindBatchSessions(view, *batch.appraised, batch.device->record));
    CS_ASSIGN_OR_RETURN(batch.tasks,
                        FindTaskCounts(view, *batch.appraised, batch.sessions));
    return {};
  });
}

// Decides and commits; on success every leaf has its ledger index.
Result<uint64_t> DecideAndCommit(const Service& service,
                                 const std::shared_ptr<const Policy>& policy,
                                 Batch& batch) {
  const int64_t now_ms = service.clock.NowMs();
  batch.leaves = DecideLeaves(*batch.appraised, batch.evidence, batch.sessions,
                              batch.tasks,
                              {.policy = *policy,
                               .device = batch.device->known,
                               .now_ms = now_ms,
                               .too_late = batch.too_late,
                               .point = service.decision_point});
  DecidedBatch decided{.device = *batch.device,
                       .appraised = *batch.appraised,
                       .evidence = batch.evidence,
                       .chain = batch.chain,
                       .policy = *policy,
                       .sessions = batch.sessions,
                       .leaves = batch.leaves,
                       .late = batch.too_late.has_value(),
                       .now_ms = now_ms};
  uint64_t first = 0;
  const auto commit = [&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(RecheckBatch(service.config, transaction, decided));
    CS_ASSIGN_OR_RETURN(first,
                        RecordBatch(service.ledger, transaction, decided));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Write(commit));
  return first;
}

Result<std::vector<CommittedLeaf>> CommitNew(const Service& service,
                                             Batch& batch) {
  const std::shared_ptr<const Policy> policy = service.policy.Get();
  CS_ASSIGN_OR_RETURN(const uint64_t first,
                      DecideAndCommit(service, policy, batch));
  std::vector<CommittedLeaf> committed;
  committed.reserve(batch.leaves.size());
  for (size_t i = 0; i < batch.leaves.size(); ++i) {
    const LeafDecision& leaf = batch.leaves[i];
    committed.push_back(
        {.decision = DecisionOf(leaf, *policy, first + i),
         .leaf = leaf.leaf,
         .tokens = leaf.session == nullptr ? nullptr : &leaf.session->tokens,
         .digest = leaf.digest,
         .receipt_jti = leaf.receipt_jti,
         .decided_ms = leaf.decided_ms});
  }
  return committed;
}

Result<std::vector<CommittedLeaf>> ReadCommitted(const Service& service,
                                                 const Batch& batch) {
  std::vector<ActionRow> rows;
  std::vector<uint64_t> ended;
  const auto read = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(rows, view.ActionsOfBatch(batch.digest));
    if (rows.empty()) return {};
    CS_ASSIGN_OR_RETURN(ended, view.EndedGrants(rows.front().ledger_index,
                                                rows.back().ledger_index + 1,
                                                service.clock.NowMs()));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Read(read));
  if (rows.size() != batch.appraised->leaves.size()) {
    return Fail(ErrorCode::kStorageCorrupt, "actions of a batch");
  }
  std::vector<CommittedLeaf> committed(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    CommittedLeaf& out = committed[i];
    if (!out.decision.ParseFromArray(
            rows[i].decision.data(),
            static_cast<int>(rows[i].decision.size()))) {
      return Fail(ErrorCode::kStorageCorrupt, "decision");
    }
    out.digest = rows[i].digest;
    out.receipt_jti = rows[i].receipt_jti;
    out.decided_ms = rows[i].decided_ms;
    const Result<verifier::BatchLeaf>& leaf = batch.appraised->leaves[i];
    if (!leaf) continue;
    out.leaf = &*leaf;
    const auto session =
        batch.sessions.find(leaf->action.session_binding_digest());
    // The decision stays what it was; its tokens are not signed again once
    // they are worth nothing.
    if (session != batch.sessions.end() && session->second != nullptr &&
        !std::ranges::binary_search(ended, rows[i].ledger_index)) {
      out.tokens = &session->second->tokens;
    }
  }
  return committed;
}

// The signed word of what the service expects instead.
BatchOutcome Conflict(const Batch& batch, const Error& error) {
  BatchOutcome outcome;
  const JournalRow& journal = batch.chain.journal;
  outcome.answer.set_expected_batch_sequence(journal.next_batch);
  outcome.answer.set_expected_action_sequence(journal.next_action);
  outcome.answer.set_expected_previous_batch_digest(
      AsString(journal.last_digest));
  outcome.refused = error;
  return outcome;
}

}  // namespace

Authorizer::Authorizer(const Service& service, Findings& findings)
    : service_(service),
      findings_(findings),
      limiter_(service.config.limits.batches_per_s, 1000) {}

Result<BatchOutcome> Authorizer::Authorize(const v1::BatchEvidence& evidence) {
  Result<BatchOutcome> outcome = Try(evidence);
  // The same batch came twice at once, and the other one was first: what it
  // committed is the answer to both.
  if (!outcome && outcome.error().code == ErrorCode::kStorageBusy) {
    outcome = Try(evidence);
  }
  return outcome;
}

Result<BatchOutcome> Authorizer::Try(const v1::BatchEvidence& evidence) {
  if (evidence.has_decided()) {
    return Fail(ErrorCode::kMalformedStatement, "decided is the service's");
  }
  Batch batch(evidence);
  CS_RETURN_IF_ERROR(Look(service_, batch));
  const auto steps = [&]() -> Result<BatchOutcome> {
    CS_RETURN_IF_ERROR(Appraise(service_, batch));
    const int wait_s =
        limiter_.Take(batch.claimed.device_id(), service_.clock.MonotonicMs());
    if (wait_s > 0) {
      BatchOutcome limited;
      limited.refused = Error{ErrorCode::kRateLimited, {}};
      limited.answer.mutable_error()->set_retry_after_s(
          static_cast<uint32_t>(wait_s));
      return limited;
    }
    CS_ASSIGN_OR_RETURN(const auto committed,
                        batch.chain.repeated ? ReadCommitted(service_, batch)
                                             : CommitNew(service_, batch));
    BatchOutcome outcome;
    if (!committed.empty()) {
      CS_RETURN_IF_ERROR(
          service_.ledger.Publish(committed.back().decision.ledger_index()));
    }
    CS_ASSIGN_OR_RETURN(outcome.answer,
                        AnswerBatch(service_, evidence, committed));
    CS_RETURN_IF_ERROR(AddFreshness(service_, batch.device->row, batch.sessions,
                                    outcome.answer));
    return outcome;
  };
  Result<BatchOutcome> outcome = steps();
  if (outcome) return outcome;
  const Error& error = outcome.error();
  // An agent that is merely out of step is told so, and is no finding.
  if (error.code == ErrorCode::kSequenceConflict) {
    return Conflict(batch, error);
  }
  if (verifier::IsRefusal(error.code)) {
    v1::LedgerEntry subject;
    subject.set_device_id(batch.claimed.device_id());
    subject.set_batch_digest(AsString(batch.digest));
    subject.set_attest_sha256(
        AsString(Sha256(AsBytes(evidence.quote().attest()))));
    findings_.Record(std::move(subject), error);
  }
  if (error.code == ErrorCode::kBatchFork) return Conflict(batch, error);
  return outcome;
}

}  // namespace countersign::authz
