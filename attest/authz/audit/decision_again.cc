#include "attest/authz/audit/decision_again.h"

#include <algorithm>

#include "attest/authz/decision_request.h"
#include "attest/authz/login/end_login.h"
#include "attest/authz/policy/decision_answer.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

// The decision point's verdict, as it was then.
Result<Verdict> PointAgain(const v1::DecisionRecord& record,
                           const v1::DecisionRecord::Leaf& leaf) {
  if (leaf.failure() != 0) {
    Verdict failed;
    const auto code = ErrorCodeFromNumber(leaf.failure());
    failed.decision.reason = code.value_or(ErrorCode::kInternal);
    failed.decision.detail = leaf.failure_detail();
    return failed;
  }
  if (leaf.answer() > static_cast<uint32_t>(record.answers_size())) {
    return Fail(ErrorCode::kEvidenceIncomplete, "the answer is missing");
  }
  return ReadKeptDecision(record.answers(static_cast<int>(leaf.answer()) - 1),
                          static_cast<AnswerShape>(leaf.shape()), leaf.place());
}

void AddUser(const v1::DecisionRecord::Session& kept, SessionFacts* facts) {
  facts->groups.assign(kept.groups().begin(), kept.groups().end());
  facts->acr = kept.acr();
}

}  // namespace

Result<DecisionAgain> DecideAgain(const TrailReader& trail,
                                  const v1::LedgerEntry& decision,
                                  const TrailReader::JudgedBatch& batch,
                                  const TrailReader::JudgedSession& session,
                                  uint32_t leaf_index) {
  const auto& leaves = batch.batch.leaves;
  if (leaf_index >= leaves.size() || !leaves[leaf_index]) {
    return Fail(ErrorCode::kLeafIndexMismatch, "another action");
  }
  const verifier::BatchLeaf& leaf = *leaves[leaf_index];
  const v1::DecisionRecord& record = batch.decided;
  const auto kept_leaf =
      std::ranges::find(record.leaves(), leaf_index,
                        [](const auto& kept) { return kept.leaf_index(); });
  const auto kept_session =
      std::ranges::find(record.sessions(), leaf.action.session_binding_digest(),
                        [](const auto& kept) -> const std::string& {
                          return kept.binding_digest();
                        });
  if (kept_leaf == record.leaves().end() ||
      kept_session == record.sessions().end()) {
    return Fail(ErrorCode::kEvidenceIncomplete, "how it was decided");
  }
  DecisionAgain again;
  CS_ASSIGN_OR_RETURN(const Bytes version, FromHex(decision.policy_version()));
  CS_ASSIGN_OR_RETURN(const Bytes text, trail.Evidence(AsString(version)));
  CS_ASSIGN_OR_RETURN(again.policy, Policy::Parse(AsString(text), "policy"));

  const v1::SessionBinding& binding = session.session.binding;
  const v1::DeviceRecord& device = batch.enrolled.record;
  CS_ASSIGN_OR_RETURN(const auto login, LoginOf(trail.view(), binding));
  SessionFacts facts =
      FactsOf(binding, device, session.session.pcrs.pcr_digest(),
              login ? &*login : nullptr);
  AddUser(*kept_session, &facts);
  const v1::Approval& approval = leaf.action.approval();
  ActionFacts action = FactsOfAction(leaf.request, approval, facts);
  action.time_ms = record.time_ms();
  action.session_age_s = kept_session->age_s();
  action.task_actions = kept_leaf->task_actions();

  again.rules = again.decided = again.policy->Decide(facts, action);
  Verdict point;
  again.point_asked = kept_leaf->answer() != 0 || kept_leaf->failure() != 0;
  if (again.point_asked) {
    CS_ASSIGN_OR_RETURN(point, PointAgain(record, *kept_leaf));
    if (again.rules.outcome != Outcome::kDeny) {
      again.decided = Narrow(again.rules, point, action);
    }
  }
  again.request =
      DecisionRequest(DecisionSubject(facts, binding, device).text(),
                      DecisionRest(action, leaf.request, approval));
  const std::string response =
      DecisionResponse(again.decided, again.policy->version(), point);
  again.holds = Name(again.decided.outcome) == decision.decision() &&
                again.decided.rule == decision.rule() &&
                (again.decided.outcome != Outcome::kPermit ||
                 again.decided.approval == decision.approval_grade()) &&
                Equal(Sha256(AsBytes(again.request)),
                      AsBytes(decision.decision_request_sha256())) &&
                Equal(Sha256(AsBytes(response)),
                      AsBytes(decision.decision_response_sha256()));
  return again;
}

Result<DecisionAgain> DecideAgain(const TrailReader& trail,
                                  const ActionRow& action) {
  CS_ASSIGN_OR_RETURN(const ProvenEntry decision,
                      trail.Entry(action.ledger_index));
  if (decision.entry.decision_request_sha256().empty() ||
      decision.entry.refers_to() == 0) {
    return Fail(ErrorCode::kBadRequest,
                "policy was not asked about this action: audit show says why");
  }
  CS_ASSIGN_OR_RETURN(const ProvenEntry bound,
                      trail.Entry(decision.entry.refers_to() - 1));
  CS_ASSIGN_OR_RETURN(const DeviceHistory history,
                      trail.History(decision, bound));
  CS_ASSIGN_OR_RETURN(const auto batch, trail.Batch(decision, history));
  CS_ASSIGN_OR_RETURN(const auto session, trail.Session(bound, history));
  return DecideAgain(trail, decision.entry, batch, session, action.leaf_index);
}

}  // namespace countersign::authz
