// One rule as read from the file. Shared by policy.cc and policy_parse.cc.
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

  struct {
    Patterns subject, os_name, uid, verification;
  } user;
  struct {
    Patterns spiffe_id, executable, executable_sha256, unit;
    std::optional<Strength> grade;  // Weakest that will do, if it is said.
  } workload;
  Patterns ek_class;
};

// Reads the rules of `text`; see Policy::Parse.
[[nodiscard]] Result<std::vector<Policy::Rule>> ParseRules(
    std::string_view text, std::string_view source);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_RULE_H_
