#include "attest/authz/leaf_decisions.h"

#include <algorithm>
#include <set>

#include "attest/authz/approval.h"
#include "attest/authz/login/end_login.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/statement/statement.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

constexpr size_t kJtiSize = 16;

Status CheckSession(const BatchSession& session,
                    const verifier::AppraisedBatch& batch,
                    const DecisionContext& context) {
  verifier::SessionFacts bound{.device_id = session.row.device_id,
                               .clock = session.row.clock,
                               .pcr_digest = {}};
  CS_ASSIGN_OR_RETURN(bound.pcr_digest,
                      DigestFrom(session.row.pcr_digest, "pcr_digest"));
  CS_RETURN_IF_ERROR(
      verifier::CheckLeafSession(bound, context.device, batch.pcrs));
  if (session.row.ended()) {
    return Fail(ErrorCode::kSessionEnded, session.row.end_reason);
  }
  if (session.row.ak_name != context.device.ak.name()) {
    return Fail(ErrorCode::kSessionEnded, "the AK was replaced");
  }
  // A session that is over by time can still be closed in good order.
  return {};
}

// A leaf that policy is asked about.
struct Asked {
  LeafDecision* leaf = nullptr;
  ActionFacts facts;
  std::string rest;
};

Asked AskRules(const DecisionContext& context, TaskCounts& tasks,
               LeafDecision& out) {
  const v1::ActionRequest& request = out.leaf->request;
  const v1::Approval& approval = out.leaf->action.approval();
  const BatchSession& session = *out.session;
  uint64_t& done = tasks.At(session.row.id, request.task_id());
  out.task_actions = done;
  Asked asked{.leaf = &out,
              .facts = FactsOfAction(request, approval, session.facts),
              .rest = {}};
  asked.facts.time_ms = context.now_ms;
  asked.facts.session_age_s = session.AgeS(context.now_ms);
  asked.facts.task_actions = done;
  asked.rest = DecisionRest(asked.facts, request, approval);
  out.decision = context.policy.Decide(session.facts, asked.facts);
  if (out.permitted()) ++done;
  return asked;
}

void AskPoint(Decider& point, std::span<const Asked> all) {
  std::vector<Question> questions;
  std::vector<const Asked*> asked;
  for (const Asked& one : all) {
    if (one.leaf->decision.outcome == Outcome::kDeny) continue;
    asked.push_back(&one);
    questions.push_back({.session = &one.leaf->session->facts,
                         .action = one.facts,
                         .subject = one.leaf->session->asks.text(),
                         .rest = one.rest});
  }
  std::vector<Verdict> verdicts = point.Decide(questions);
  for (size_t i = 0; i < asked.size(); ++i) {
    LeafDecision& leaf = *asked[i]->leaf;
    leaf.decision = Narrow(leaf.decision, verdicts[i], asked[i]->facts);
    leaf.point = std::move(verdicts[i]);
  }
}

void Conclude(const DecisionContext& context, const Asked& asked) {
  LeafDecision& out = *asked.leaf;
  out.request_sha256 =
      Sha256(AsBytes(DecisionRequest(out.session->asks.text(), asked.rest)));
  out.response_sha256 = Sha256(AsBytes(DecisionResponse(
      out.decision, context.policy.version(), out.point.value_or(Verdict{}))));
  // Tokens are for somebody: without an audience the evidence alone answers.
  if (!out.permitted() || asked.facts.audience.empty()) return;
  out.grant_jti = ToBase64Url(RandomBytes(kJtiSize));
  out.receipt_jti = ToBase64Url(RandomBytes(kJtiSize));
  // Whoever checks it offline hears of no session's end.
  out.grant_expires_s =
      std::min(context.now_ms / 1000 + out.decision.grant_ttl_s,
               out.session->row.expires_ms / 1000);
}

// Whether policy is to be asked; if not, the leaf is decided.
bool PassesChecks(const verifier::AppraisedBatch& batch,
                  const DecisionContext& context, BatchSessions& sessions,
                  LeafDecision& out) {
  const auto deny = [&out](ErrorCode reason, std::string why = {}) {
    out.Deny(reason, std::move(why));
    return false;
  };
  const v1::Action& action = out.leaf->action;
  const auto found = sessions.find(action.session_binding_digest());
  if (found == sessions.end() || found->second == nullptr) {
    return deny(ErrorCode::kSessionUnknown);
  }
  out.session = found->second.get();
  SessionRow& row = out.session->row;
  if (const Status live = CheckSession(*out.session, batch, context); !live) {
    return deny(live.error().code, live.error().detail);
  }
  if (!action.session_end().empty()) {
    out.ends_session = true;
    out.decision.outcome = Outcome::kPermit;
    row.end_reason = Printable(action.session_end(), 64);
    row.ended_ms = context.now_ms;
    return false;
  }
  if (row.expires_ms <= context.now_ms) {
    return deny(ErrorCode::kSessionExpired);
  }
  if (context.too_late) return deny(*context.too_late);
  return true;
}

}  // namespace

BatchSession::BatchSession(SessionRow session_row,
                           v1::SessionBinding session_binding,
                           const v1::DeviceRecord& device,
                           std::optional<LoginRow> session_login)
    : row(std::move(session_row)),
      binding(std::move(session_binding)),
      login(std::move(session_login)),
      facts(
          FactsOf(binding, device, row.pcr_digest, login ? &*login : nullptr)),
      asks(facts, binding, device),
      tokens(TokenSessionOf(binding, row.binding_digest, row.subject)) {}

void LeafDecision::Deny(ErrorCode reason, std::string why) {
  decision = PolicyDecision{};
  decision.reason = reason;
  detail = std::move(why);
  request_sha256 = response_sha256 = Sha256Digest{};
  grant_jti.clear();
  receipt_jti.clear();
  grant_expires_s = 0;
  point.reset();
}

Result<TaskCounts> FindTaskCounts(StoreView& view,
                                  const verifier::AppraisedBatch& batch,
                                  const BatchSessions& sessions) {
  TaskCounts counts;
  for (const Result<verifier::BatchLeaf>& leaf : batch.leaves) {
    if (!leaf || !leaf->action.session_end().empty()) continue;
    const auto session = sessions.find(leaf->action.session_binding_digest());
    if (session == sessions.end() || session->second == nullptr) continue;
    CS_RETURN_IF_ERROR(
        counts.Load(view, session->second->row.id, leaf->request.task_id()));
  }
  return counts;
}

Result<BatchSessions> FindBatchSessions(StoreView& view,
                                        const verifier::AppraisedBatch& batch,
                                        const v1::DeviceRecord& device) {
  BatchSessions sessions;
  for (const Result<verifier::BatchLeaf>& leaf : batch.leaves) {
    if (!leaf) continue;
    const std::string& name = leaf->action.session_binding_digest();
    if (sessions.contains(name)) continue;
    std::unique_ptr<BatchSession>& session = sessions[name];
    CS_ASSIGN_OR_RETURN(const Sha256Digest digest,
                        DigestFrom(AsBytes(name), "session_binding_digest"));
    CS_ASSIGN_OR_RETURN(auto row, view.FindSessionByBinding(digest));
    if (!row) continue;
    v1::SessionBinding binding;
    if (!binding.ParseFromArray(row->binding.data(),
                                static_cast<int>(row->binding.size()))) {
      return Fail(ErrorCode::kStorageCorrupt, "session binding");
    }
    CS_ASSIGN_OR_RETURN(auto login, LoginOf(view, binding));
    session = std::make_unique<BatchSession>(
        *std::move(row), std::move(binding), device, std::move(login));
  }
  return sessions;
}

std::vector<LeafDecision> DecideLeaves(const verifier::AppraisedBatch& batch,
                                       const v1::BatchEvidence& evidence,
                                       BatchSessions& sessions,
                                       TaskCounts& tasks,
                                       const DecisionContext& context) {
  std::vector<LeafDecision> decisions(batch.leaves.size());
  std::vector<Asked> asked;
  std::set<Sha256Digest> seen;
  for (size_t i = 0; i < decisions.size(); ++i) {
    LeafDecision& out = decisions[i];
    const Result<verifier::BatchLeaf>& leaf = batch.leaves[i];
    out.decided_ms = context.now_ms;
    if (leaf) {
      out.digest = leaf->digest;
      out.leaf = &*leaf;
    } else {
      out.digest = statement::StatementDigest(
          StatementType::kAction,
          AsBytes(evidence.actions(static_cast<int>(i))));
    }
    if (!leaf) {
      out.Deny(leaf.error().code, leaf.error().detail);
    } else if (!seen.insert(out.digest).second) {
      out.Deny(ErrorCode::kDuplicateAction);
    } else if (PassesChecks(batch, context, sessions, out)) {
      asked.push_back(AskRules(context, tasks, out));
    }
  }
  if (context.point != nullptr) AskPoint(*context.point, asked);
  for (const Asked& one : asked) Conclude(context, one);
  return decisions;
}

}  // namespace countersign::authz
