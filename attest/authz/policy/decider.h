// Who decides: requests of the AuthZEN Authorization API 1.0 in, decisions
// out. Two deciders implement it, the rule file (here) and a decision point
// over HTTP (decision_point.h).
//
// The rule file always decides. Where a decision point is configured, what
// the rules would permit or have approved is put to it as well, and its word
// narrows theirs: nothing that it answers makes more of a decision than the
// rules made (docs/decisions/0019-the-decision-point-narrows.md).
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECIDER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECIDER_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attest/authz/policy/policy.h"

namespace countersign::authz {

// One request, as facts and as the exact text of its parts. All of it lives
// as long as the call.
struct Question {
  const SessionFacts* session = nullptr;
  ActionFacts action;
  std::string_view subject;  // {"type":"user",…}
  std::string_view rest;     // "action":{…},"resource":{…},"context":{…}
};

// How the decisions lie in a body that a decision point answered with.
enum class AnswerShape : uint8_t {
  kEvaluation = 1,   // {"decision":…,"context":…}
  kEvaluations = 2,  // {"evaluations":[{"decision":…},…]}
  kOpaResult = 3,    // {"result":{"decision":…}} or {"result":true}
};

struct Verdict {
  PolicyDecision decision;
  std::vector<std::string> audiences = {};  // Of a permit; empty: not said.
  // Where a decision point said so: for whoever wants to read it again.
  std::shared_ptr<const std::string> body = nullptr;
  AnswerShape shape = AnswerShape::kEvaluation;
  uint32_t place = 0;
};

class Decider {
 public:
  virtual ~Decider() = default;
  // One verdict for each question, in order. What cannot be decided is denied.
  [[nodiscard]] virtual std::vector<Verdict> Decide(
      std::span<const Question> questions) = 0;
};

class RuleDecider final : public Decider {
 public:
  explicit RuleDecider(const Policy& policy) : policy_(policy) {}
  [[nodiscard]] std::vector<Verdict> Decide(
      std::span<const Question> questions) override;

 private:
  const Policy& policy_;
};

// What comes of the rules' decision, which is no denial, and of the decision
// point's verdict about the same action: the stricter of both. A denial
// (kAudienceNotAllowed if the point names audiences and the grant's is none of
// them), else an approval that either asks for, else a permit that lives for
// the shorter of the two times. A permit for an action that carries an
// approval which counts rests on that approval: the point knew of it.
[[nodiscard]] PolicyDecision Narrow(const PolicyDecision& rules,
                                    const Verdict& point,
                                    const ActionFacts& action);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECIDER_H_
