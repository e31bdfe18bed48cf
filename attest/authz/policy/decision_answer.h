// Reads what a decision point answered: hostile text, bounded by the HTTP
// client, read strictly. What is not clearly a decision is none.
//
// AuthZEN leaves the response's context free. These members of it mean
// something here; all others are ignored:
//   outcome      "permit", "deny" or "approval_required"; only the first goes
//                with "decision": true. Absent: what the decision says.
//   approval     with approval_required: the grade, "prompt", "webauthn" (also
//                if absent) or "second-person"
//   grant_ttl_s  with a permit: 1 to 300
//   audiences    with a permit: 1 to 64 texts, of which the grant's audience
//                must be one
//   reason       with a denial: words for the user, of which 256 bytes are kept
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECISION_ANSWER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECISION_ANSWER_H_

#include <string_view>
#include <vector>

#include "attest/authz/policy/decider.h"

namespace countersign::authz {

inline constexpr size_t kMaxDecisionAnswer = 256 * 1024;

// The decisions of one body: exactly `count`, one unless kEvaluations. Each
// is an outcome; a denial's reason is kDecisionPointDenied.
//   kDecisionPointAnswer  not JSON of that shape (also by CheckJson), another
//                         number of decisions, or a member of the context
//                         above that is not as it says
[[nodiscard]] Result<std::vector<Verdict>> ReadDecisionAnswer(
    std::string_view body, AnswerShape shape, size_t count);

// The one at `place` of a body that was kept. Errors as above.
[[nodiscard]] Result<Verdict> ReadKeptDecision(std::string_view body,
                                               AnswerShape shape, size_t place);

// Where the metadata of a decision point (AuthZEN 1.0 §9) says that batches
// may be sent; empty if it says nothing. kDecisionPointAnswer if it is not
// JSON.
[[nodiscard]] Result<std::string> ReadBatchEndpoint(std::string_view metadata);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECISION_ANSWER_H_
