#include "agent/daemon/answers.h"

#include "agent/ipc/messages.h"
#include "attest/statement/statement.h"

namespace countersign::agent {

v1::AuthorizeResponse ToAuthorizeResponse(const ActionOutcome& outcome,
                                          const std::string& request) {
  const v1::ActionDecision& decision = outcome.decision;
  const bool permit = decision.decision() == "permit";
  v1::AuthorizeResponse response;
  response.set_decision(decision.decision());
  if (!permit) {
    const auto code = ErrorCodeFromNumber(decision.reason());
    *response.mutable_reason() = ToErrorInfo(
        {code.value_or(ErrorCode::kPolicyDenied), decision.detail()});
  }
  response.set_rule(decision.rule());
  response.set_policy_version(decision.policy_version());
  response.set_action_digest(AsString(outcome.action_digest));
  response.set_request_digest(AsString(statement::StatementDigest(
      statement::StatementType::kActionRequest, AsBytes(request))));
  response.set_sequence(outcome.sequence);
  response.set_ledger_index(decision.ledger_index());
  response.set_approval_grade(decision.approval_grade());
  if (permit) {
    response.set_grant(decision.grant());
    response.set_grant_jti(decision.grant_jti());
    response.set_grant_expires_s(decision.grant_expires_s());
    response.set_receipt(decision.receipt());
  }
  return response;
}

v1::EvidenceBundle BuildBundle(const Device& device,
                               const state::OpenSession& session,
                               const ActionOutcome& outcome) {
  v1::EvidenceBundle bundle;
  *bundle.mutable_device_record() = device.signed_record;
  *bundle.mutable_session() = session.evidence();
  *bundle.mutable_action() = outcome.batch->ProofOf(outcome.leaf);
  bundle.set_decision(outcome.decision.decision());
  bundle.set_grant(outcome.decision.grant());
  bundle.set_receipt(outcome.decision.receipt());
  bundle.set_client_attestation(session.client_attestation());
  if (session.has_proof()) *bundle.mutable_session_entry() = session.proof();
  if (outcome.decision.has_proof()) {
    *bundle.mutable_decision_entry() = outcome.decision.proof();
  }
  return bundle;
}

}  // namespace countersign::agent
