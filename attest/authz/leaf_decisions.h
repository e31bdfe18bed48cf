// Decides the leaves of an appraised batch, one by one and in order: each has
// its own error, so that one bad leaf denies itself alone.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LEAF_DECISIONS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LEAF_DECISIONS_H_

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "attest/authz/decision_request.h"
#include "attest/authz/grant_issuer.h"
#include "attest/authz/service.h"
#include "attest/authz/task_counts.h"
#include "attest/verifier/appraise.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// A session that leaves of the batch name, as it was when they were decided.
struct BatchSession {
  BatchSession(SessionRow session_row, v1::SessionBinding session_binding,
               const v1::DeviceRecord& device,
               std::optional<LoginRow> session_login);

  // How long ago it was bound; never negative.
  [[nodiscard]] int64_t AgeS(int64_t now_ms) const {
    return std::max<int64_t>(0, now_ms - row.opened_ms) / 1000;
  }

  SessionRow row;
  v1::SessionBinding binding;
  std::optional<LoginRow> login;  // That it rests on, if any.
  SessionFacts facts;
  DecisionSubject asks;
  TokenSession tokens;
};

// By binding digest; null where no such session is known.
using BatchSessions = std::map<std::string, std::unique_ptr<BatchSession>>;
[[nodiscard]] Result<BatchSessions> FindBatchSessions(
    StoreView& view, const verifier::AppraisedBatch& batch,
    const v1::DeviceRecord& device);

// The counts of the tasks that leaves of the batch belong to.
[[nodiscard]] Result<TaskCounts> FindTaskCounts(
    StoreView& view, const verifier::AppraisedBatch& batch,
    const BatchSessions& sessions);

struct LeafDecision {
  Sha256Digest digest{};                      // Of the Action.
  const verifier::BatchLeaf* leaf = nullptr;  // Null: malformed.
  BatchSession* session = nullptr;            // Null: none that we know.
  bool ends_session = false;  // A session_end leaf that took effect.
  PolicyDecision decision;
  uint64_t task_actions = 0;  // As policy was told.
  // The decision point's, if it was asked: without a body it failed.
  std::optional<Verdict> point;
  std::string detail;              // Of a denial that is not policy's.
  Sha256Digest request_sha256{};   // Of the AuthZEN request; zero if policy
  Sha256Digest response_sha256{};  // was not asked.
  std::string grant_jti;           // With a permit that names an audience.
  std::string receipt_jti;
  int64_t decided_ms = 0;
  int64_t grant_expires_s = 0;

  [[nodiscard]] bool permitted() const {
    return decision.outcome == Outcome::kPermit;
  }
  // The permit rests on the approval that the action carries.
  [[nodiscard]] bool approved() const {
    return permitted() && !decision.approval.empty();
  }
  // Makes it a denial for a reason that is not policy's.
  void Deny(ErrorCode reason, std::string why = {});
};

struct DecisionContext {
  const Policy& policy;
  const verifier::KnownDevice& device;
  int64_t now_ms = 0;
  // Why nothing of this batch is granted any more (kLateBatch, kEpochExpired);
  // nothing if it came in time.
  std::optional<ErrorCode> too_late;
  Decider* point = nullptr;  // Null: the rules alone decide.
};

// For each leaf, the first that applies is why it is denied:
//   the error of the leaf itself (verifier::ReadLeaf)
//   kDuplicateAction       the same leaf stands earlier in the batch
//   kSessionUnknown
//   kSessionOfOtherDevice, kStaleBoot, kPcrDigestMismatch
//   kSessionEnded          also by a session_end leaf before it
//   kSessionExpired
//   context.too_late       recorded, never granted
//   policy                 kPolicyDenied, kAudienceNotAllowed, kTaskLimit,
//                          kApprovalRequired (its outcome says so)
//   the decision point     what the rules let pass is put to it, all in one
//                          go: see DecisionPoint::Decide and Narrow
// A leaf counts for its task (`tasks`) as soon as the rules permit it.
// A session_end leaf ends its session, late or not, and asks no policy.
// Leaves that were presented in an earlier batch are for the transaction.
[[nodiscard]] std::vector<LeafDecision> DecideLeaves(
    const verifier::AppraisedBatch& batch, const v1::BatchEvidence& evidence,
    BatchSessions& sessions, TaskCounts& tasks, const DecisionContext& context);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LEAF_DECISIONS_H_
