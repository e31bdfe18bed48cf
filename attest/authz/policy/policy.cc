#include "attest/authz/policy/policy.h"

#include <algorithm>

#include "attest/authz/policy/policy_rule.h"
#include "attest/authz/policy/rule_index.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

bool AudienceAllowed(const Policy::Rule& rule, const ActionFacts& action) {
  if (action.audience.empty()) return true;
  if (!rule.audiences.empty()) {
    return std::ranges::any_of(rule.audiences, [&](const std::string& glob) {
      return GlobMatches(glob, action.audience);
    });
  }
  return action.audience == OriginOf(action.resource);
}

// What `rule` makes of the action, or nothing if it does not match.
std::optional<PolicyDecision> DecideBy(const Policy::Rule& rule,
                                       const SessionFacts& session,
                                       const ActionFacts& action,
                                       Mismatch* why) {
  if (!ActionMatches(rule, action, why)) return std::nullopt;
  const bool allows = rule.outcome != Outcome::kDeny &&
                      SessionMatches(rule, session, Effect::kAllows, why);
  // Whoever makes their own program less certain must not slip past a rule
  // that asks for more, to one that asks for less.
  const bool restricts = !allows && rule.outcome != Outcome::kPermit &&
                         SessionMatches(rule, session, Effect::kRestricts, why);
  if (!allows && !restricts) return std::nullopt;
  PolicyDecision decision;
  decision.rule = rule.name;
  if (!allows) return decision;
  if (!AudienceAllowed(rule, action)) {
    decision.reason = ErrorCode::kAudienceNotAllowed;
    return decision;
  }
  if (rule.max_actions_per_task != 0 &&
      action.task_actions >= rule.max_actions_per_task) {
    decision.reason = ErrorCode::kTaskLimit;
    return decision;
  }
  const bool asks = rule.outcome == Outcome::kApprovalRequired;
  if (asks) decision.approval = rule.approval;
  // A grade is never a stand-in for another one.
  if (asks && action.approval != rule.approval) {
    decision.outcome = Outcome::kApprovalRequired;
    decision.reason = ErrorCode::kApprovalRequired;
  } else {
    decision.outcome = Outcome::kPermit;
    decision.grant_ttl_s = rule.grant_ttl_s;
    decision.max_actions_per_task = rule.max_actions_per_task;
  }
  return decision;
}

}  // namespace

bool GlobMatches(std::string_view pattern, std::string_view text) {
  // Greedy with one point of return: the last '*' seen is the only one worth
  // stretching, so no pattern makes this exponential.
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view OriginOf(std::string_view uri) {
  const size_t scheme = uri.find("://");
  if (scheme == std::string_view::npos || scheme == 0) return {};
  const size_t end = uri.find_first_of("/?#", scheme + 3);
  const std::string_view origin = uri.substr(0, end);
  return origin.size() == scheme + 3 ? std::string_view{} : origin;
}

std::string_view Name(Strength strength) {
  switch (strength) {
    case Strength::kVerifiedByService:
      return "verified-by-service";
    case Strength::kKernel:
      return "kernel";
    case Strength::kOsService:
      return "os-service";
    case Strength::kSameUserSpoofable:
      return "same-user-spoofable";
    case Strength::kClaimed:
      break;
  }
  return "claimed";
}

std::string_view Name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPermit:
      return "permit";
    case Outcome::kApprovalRequired:
      return "approval_required";
    case Outcome::kDeny:
      break;
  }
  return "deny";
}

Policy::Policy() = default;
Policy::~Policy() = default;

size_t Policy::rules() const { return rules_.size(); }

Result<std::shared_ptr<const Policy>> Policy::Parse(std::string_view text,
                                                    std::string_view source) {
  if (text.size() > kMaxPolicySize) {
    return Fail(ErrorCode::kConfigInvalid,
                std::string(source) + ":1: larger than 4 MiB");
  }
  CS_ASSIGN_OR_RETURN(auto rules, ParseRules(text, source));
  std::shared_ptr<Policy> policy(new Policy);
  policy->text_ = text;
  policy->version_ = ToHex(Sha256(AsBytes(text)));
  policy->rules_ = std::move(rules);
  policy->index_ = std::make_unique<RuleIndex>(policy->rules_);
  return policy;
}

PolicyDecision Policy::Decide(const SessionFacts& session,
                              const ActionFacts& action) const {
  RuleIndex::Walk candidates(*index_, session, action);
  while (const auto rule = candidates.Next()) {
    if (auto decision = DecideBy(rules_[*rule], session, action, nullptr)) {
      return *std::move(decision);
    }
  }
  return {};
}

Explanation Policy::Explain(const SessionFacts& session,
                            const ActionFacts& action) const {
  Explanation explanation;
  for (const Rule& rule : rules_) {
    Mismatch why;
    if (auto decision = DecideBy(rule, session, action, &why)) {
      explanation.decision = *std::move(decision);
      return explanation;
    }
    explanation.passed_over.push_back({rule.name, std::move(why)});
  }
  return explanation;
}

bool Policy::MayOpenSession(const SessionFacts& session) const {
  return std::ranges::any_of(rules_, [&session](const Rule& rule) {
    return rule.outcome != Outcome::kDeny &&
           SessionMatches(rule, session, Effect::kAllows, nullptr);
  });
}

}  // namespace countersign::authz
