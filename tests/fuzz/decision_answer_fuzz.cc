// What a decision point answers: any bytes are refused as no decision, or are
// one that keeps within its bounds and reads the same from where it is kept.
#include "attest/authz/policy/decision_answer.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  using namespace countersign::authz;
  if (size == 0) return 0;
  const auto shape = static_cast<AnswerShape>(1 + data[0] % 3);
  const size_t count = shape == AnswerShape::kEvaluations ? data[0] / 3 % 4 : 1;
  const std::string body(FuzzText(data + 1, size - 1));
  const auto read = ReadDecisionAnswer(body, shape, count);
  if (!read.has_value()) {
    FuzzCheck(read.error().code == ErrorCode::kDecisionPointAnswer);
    return 0;
  }
  FuzzCheck(read->size() == count);
  for (const Verdict& verdict : *read) {
    const PolicyDecision& decision = verdict.decision;
    FuzzCheck(decision.grant_ttl_s >= 0 &&
              decision.grant_ttl_s <= kMaxGrantTtlS);
    FuzzCheck(decision.outcome == Outcome::kPermit ||
              verdict.audiences.empty());
    FuzzCheck((decision.outcome == Outcome::kApprovalRequired) ==
              !decision.approval.empty());
    const auto again = ReadKeptDecision(body, shape, verdict.place);
    FuzzCheck(again.has_value() && again->decision.outcome == decision.outcome);
  }
  return 0;
}
