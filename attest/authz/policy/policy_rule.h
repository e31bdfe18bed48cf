// One rule as read from the file, and whether it matches. Shared by the
// sources of this folder.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_RULE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_RULE_H_

#include <optional>
#include <string>
#include <vector>

#include "attest/authz/policy/policy.h"

namespace countersign::authz {

// Texts of which one must match; empty: no condition.
using Patterns = std::vector<std::string>;

struct Policy::Rule {
  std::string name;
  Outcome outcome = Outcome::kDeny;
  Patterns action;
  Patterns resource;
  Patterns purpose;
  Patterns audiences;
  int64_t grant_ttl_s = kMaxGrantTtlS;
  std::string approval = "webauthn";
  uint64_t max_actions_per_task = 0;  // 0: no limit.

  struct {
    Patterns subject, os_name, uid, verification, groups, acr;
  } user;
  struct {
    Patterns spiffe_id, executable, executable_sha256, unit;
    std::optional<Strength> grade;  // Weakest that will do, if it is said.
  } workload;
  struct {
    Patterns ek_class, ek_trust, boot, pcr_digest;
  } device;
  struct {
    Patterns weekday;
    int from_minute = 0;         // Of the day, in UTC.
    int until_minute = 24 * 60;  // Past it no more. Before `from`: tomorrow's.
    int64_t max_session_age_s = 0;  // 0: any.
  } when;
};

// Reads the rules of `text`; see Policy::Parse.
[[nodiscard]] Result<std::vector<Policy::Rule>> ParseRules(
    std::string_view text, std::string_view source);

// What allows something must be what the kernel vouches for, unless the rule
// says that less will do; what restricts takes the least hint.
enum class Effect : uint8_t { kAllows, kRestricts };

// The conditions of a rule, those on the action first. If one does not hold
// and `why` is given, `why` says which.
[[nodiscard]] bool ActionMatches(const Policy::Rule& rule,
                                 const ActionFacts& action, Mismatch* why);
[[nodiscard]] bool SessionMatches(const Policy::Rule& rule,
                                  const SessionFacts& session, Effect effect,
                                  Mismatch* why);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_RULE_H_
