#include "attest/authz/policy/decider.h"

#include <algorithm>

namespace countersign::authz {

std::vector<Verdict> RuleDecider::Decide(std::span<const Question> questions) {
  std::vector<Verdict> verdicts(questions.size());
  for (size_t i = 0; i < questions.size(); ++i) {
    verdicts[i].decision =
        policy_.Decide(*questions[i].session, questions[i].action);
  }
  return verdicts;
}

PolicyDecision Narrow(const PolicyDecision& rules, const Verdict& point,
                      const ActionFacts& action) {
  PolicyDecision narrowed = rules;
  const auto deny = [&narrowed](ErrorCode reason, std::string detail) {
    PolicyDecision denial;
    denial.rule = narrowed.rule;
    denial.reason = reason;
    denial.detail = std::move(detail);
    return denial;
  };
  const PolicyDecision& said = point.decision;
  if (said.outcome == Outcome::kDeny) return deny(said.reason, said.detail);
  if (!action.audience.empty() && !point.audiences.empty() &&
      std::ranges::find(point.audiences, action.audience) ==
          point.audiences.end()) {
    return deny(ErrorCode::kAudienceNotAllowed,
                "the decision point permits other audiences");
  }
  if (rules.outcome == Outcome::kApprovalRequired) return narrowed;
  if (said.outcome == Outcome::kApprovalRequired) {
    narrowed = PolicyDecision{};
    narrowed.rule = rules.rule;
    narrowed.outcome = Outcome::kApprovalRequired;
    narrowed.reason = ErrorCode::kApprovalRequired;
    narrowed.approval = said.approval;
    return narrowed;
  }
  if (said.grant_ttl_s > 0) {
    narrowed.grant_ttl_s = std::min(narrowed.grant_ttl_s, said.grant_ttl_s);
  }
  if (narrowed.approval.empty()) narrowed.approval = action.approval;
  return narrowed;
}

}  // namespace countersign::authz
