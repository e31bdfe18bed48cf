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

void AskPolicy(const DecisionContext& context, LeafDecision& out) {
  const v1::ActionRequest& request = out.leaf->request;
  const v1::Approval& approval = out.leaf->action.approval();
  const SessionFacts& facts = out.session->facts;
  out.decision =
      context.policy.Decide(facts, {.name = request.name(),
                                    .resource = request.resource(),
                                    .purpose = request.purpose(),
                                    .audience = request.grant_audience(),
                                    .approval = CountedGrade(approval, facts)});
  out.request_sha256 =
      Sha256(AsBytes(out.session->asks.RequestFor(request, approval)));
  out.response_sha256 =
      Sha256(AsBytes(DecisionResponse(out.decision, context.policy.version())));
  // Tokens are for somebody: without an audience the evidence alone answers.
  if (!out.permitted() || request.grant_audience().empty()) return;
  out.grant_jti = ToBase64Url(RandomBytes(kJtiSize));
  out.receipt_jti = ToBase64Url(RandomBytes(kJtiSize));
  out.grant_expires_s = context.now_ms / 1000 + out.decision.grant_ttl_s;
}

void Decide(const verifier::AppraisedBatch& batch,
            const DecisionContext& context, BatchSessions& sessions,
            LeafDecision& out) {
  const v1::Action& action = out.leaf->action;
  const auto found = sessions.find(action.session_binding_digest());
  if (found == sessions.end() || found->second == nullptr) {
    return out.Deny(ErrorCode::kSessionUnknown);
  }
  out.session = found->second.get();
  SessionRow& row = out.session->row;
  if (const Status live = CheckSession(*out.session, batch, context); !live) {
    return out.Deny(live.error().code, live.error().detail);
  }
  if (!action.session_end().empty()) {
    out.ends_session = true;
    out.decision.outcome = Outcome::kPermit;
    row.end_reason = Printable(action.session_end(), 64);
    row.ended_ms = context.now_ms;
    return;
  }
  if (row.expires_ms <= context.now_ms) {
    return out.Deny(ErrorCode::kSessionExpired);
  }
  if (context.too_late) return out.Deny(*context.too_late);
  AskPolicy(context, out);
}

}  // namespace

BatchSession::BatchSession(SessionRow session_row,
                           v1::SessionBinding session_binding,
                           const v1::DeviceRecord& device,
                           std::optional<LoginRow> session_login)
    : row(std::move(session_row)),
      binding(std::move(session_binding)),
      login(std::move(session_login)),
      facts(FactsOf(binding, device, login ? &*login : nullptr)),
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
                                       const DecisionContext& context) {
  std::vector<LeafDecision> decisions(batch.leaves.size());
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
    } else {
      Decide(batch, context, sessions, out);
    }
  }
  return decisions;
}

}  // namespace countersign::authz
