// Reads a request as decision_request.h writes it (AuthZEN 1.0), back into the
// facts that rules judge: for what people write down as examples, and for
// explaining a decision of the past. Never for deciding anything.
//
// Members may be left out, and a graded fact may be a plain text, which then
// counts as the kernel's word.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_REQUEST_READER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_REQUEST_READER_H_

#include <string>
#include <string_view>
#include <vector>

#include "attest/authz/policy/policy.h"

namespace countersign::authz {

inline constexpr size_t kMaxExamples = 4 * 1024 * 1024;

struct AskedFacts {
  SessionFacts session;
  std::string name, resource, purpose, audience, approved;
  int64_t time_ms = 0;
  int64_t session_age_s = 0;
  uint64_t task_actions = 0;

  // Points into this object.
  [[nodiscard]] ActionFacts action() const;
};

// kBadRequest naming the member: not JSON (CheckJson), no subject.id,
// action.name or resource.id, a member of another type, or an unknown one.
[[nodiscard]] Result<AskedFacts> ReadDecisionRequest(std::string_view json);

// What somebody expects of a policy.
struct PolicyExample {
  std::string name;
  AskedFacts facts;
  std::string outcome;  // Of Outcome's names.
  // Empty, zero: not said.
  std::string rule;
  std::string reason;
  int64_t grant_ttl_s = 0;
};

// Examples in TOML, as [[example]] tables, or JSON, as {"example": […]}, each
// with name, request, outcome, and optionally rule ("" stands for no rule),
// reason and grant_ttl_s. `source` is the file's name; ".json" is JSON.
//   kConfigInvalid  "source: example 'name': what" or "source:line: what"
[[nodiscard]] Result<std::vector<PolicyExample>> ReadExamples(
    std::string_view text, std::string_view source);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_REQUEST_READER_H_
