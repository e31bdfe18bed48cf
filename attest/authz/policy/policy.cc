#include "attest/authz/policy/policy.h"

#include <algorithm>

#include "attest/authz/policy/policy_rule.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

bool AnyGlob(const Patterns& patterns, std::string_view text) {
  return patterns.empty() ||
         std::ranges::any_of(patterns, [text](const std::string& pattern) {
           return GlobMatches(pattern, text);
         });
}

bool AnyEqual(const Patterns& values, std::string_view text) {
  return values.empty() || std::ranges::find(values, text) != values.end();
}

// Collects the graded facts that a rule names, and whether all of them match.
class Grounds {
 public:
  explicit Grounds(Strength weakest) : weakest_(weakest) {}

  void Match(const Patterns& patterns, const Fact& fact, bool exact = false) {
    if (patterns.empty()) return;
    named_ = true;
    strongest_ = std::min(strongest_, fact.strength);
    const bool hit = !fact.value.empty() && fact.strength <= weakest_ &&
                     (exact ? AnyEqual(patterns, fact.value)
                            : AnyGlob(patterns, fact.value));
    matched_ = matched_ && hit;
  }
  // A rule that is about the user judges its facts at any grade.
  void set_weakest(Strength weakest) { weakest_ = weakest; }

  [[nodiscard]] bool matched() const { return matched_; }
  // All that the rule stands on could have been made up by any process of the
  // same user.
  [[nodiscard]] bool only_spoofable() const {
    return named_ && strongest_ >= Strength::kSameUserSpoofable;
  }

 private:
  Strength weakest_;
  bool named_ = false;
  bool matched_ = true;
  Strength strongest_ = Strength::kClaimed;
};

// What allows something must be what the kernel vouches for, unless the rule
// says that less will do; what restricts takes the least hint.
enum class Effect : uint8_t { kAllows, kRestricts };

bool SessionMatches(const Policy::Rule& rule, const SessionFacts& session,
                    Effect effect) {
  if (!AnyEqual(rule.user.verification, session.verification) ||
      !AnyEqual(rule.ek_class, session.ek_class)) {
    return false;
  }
  const bool allows = effect == Effect::kAllows;
  Grounds grounds(allows ? rule.workload.grade.value_or(Strength::kKernel)
                         : Strength::kClaimed);
  grounds.Match(rule.workload.spiffe_id, session.spiffe_id);
  grounds.Match(rule.workload.executable, session.executable);
  grounds.Match(rule.workload.executable_sha256, session.executable_sha256,
                /*exact=*/true);
  grounds.Match(rule.workload.unit, session.unit);
  grounds.set_weakest(Strength::kClaimed);
  // The uid is what makes a subject on its device.
  grounds.Match(rule.user.subject, {session.subject, session.uid.strength});
  grounds.Match(rule.user.os_name, session.os_name);
  grounds.Match(rule.user.uid, session.uid, /*exact=*/true);
  if (!grounds.matched()) return false;
  return !allows || !grounds.only_spoofable();
}

bool ActionMatches(const Policy::Rule& rule, const ActionFacts& action) {
  return AnyGlob(rule.action, action.name) &&
         AnyGlob(rule.resource, action.resource) &&
         AnyGlob(rule.purpose, action.purpose);
}

bool AudienceAllowed(const Policy::Rule& rule, const ActionFacts& action) {
  if (action.audience.empty()) return true;
  if (!rule.audiences.empty()) return AnyGlob(rule.audiences, action.audience);
  return action.audience == OriginOf(action.resource);
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
                std::string(source) + ":1: larger than 256 KiB");
  }
  CS_ASSIGN_OR_RETURN(auto rules, ParseRules(text, source));
  std::shared_ptr<Policy> policy(new Policy);
  policy->text_ = text;
  policy->version_ = ToHex(Sha256(AsBytes(text)));
  policy->rules_ = std::move(rules);
  return policy;
}

PolicyDecision Policy::Decide(const SessionFacts& session,
                              const ActionFacts& action) const {
  PolicyDecision decision;
  for (const Rule& rule : rules_) {
    if (!ActionMatches(rule, action)) continue;
    const bool allows = rule.outcome != Outcome::kDeny &&
                        SessionMatches(rule, session, Effect::kAllows);
    // Whoever makes their own program less certain must not slip past a rule
    // that asks for more, to one that asks for less.
    const bool restricts = rule.outcome != Outcome::kPermit &&
                           SessionMatches(rule, session, Effect::kRestricts);
    if (!allows && !restricts) continue;
    decision.rule = rule.name;
    if (!allows) return decision;
    if (!AudienceAllowed(rule, action)) {
      decision.reason = ErrorCode::kAudienceNotAllowed;
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
    }
    return decision;
  }
  return decision;
}

bool Policy::MayOpenSession(const SessionFacts& session) const {
  return std::ranges::any_of(rules_, [&session](const Rule& rule) {
    return rule.outcome != Outcome::kDeny &&
           SessionMatches(rule, session, Effect::kAllows);
  });
}

}  // namespace countersign::authz
