// The rule file: any text is refused with a line number or decides something.
#include "attest/authz/policy/policy.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  using namespace countersign::authz;
  const auto policy = Policy::Parse(FuzzText(data, size), "policy.toml");
  if (!policy.has_value()) {
    FuzzCheck(policy.error().code == ErrorCode::kConfigInvalid);
    FuzzCheck(policy.error().detail.starts_with("policy.toml:"));
    return 0;
  }
  SessionFacts session;
  session.subject = "os:00ff:1000";
  session.uid = {"1000", Strength::kKernel};
  session.executable = {"/usr/bin/agent", Strength::kSameUserSpoofable};
  const PolicyDecision decision =
      (*policy)->Decide(session, {.name = "http:POST",
                                  .resource = "https://api.example/x",
                                  .purpose = "test",
                                  .audience = "https://api.example"});
  if (decision.outcome == Outcome::kPermit) {
    FuzzCheck(decision.grant_ttl_s >= 1 &&
              decision.grant_ttl_s <= kMaxGrantTtlS);
    FuzzCheck(!decision.rule.empty());
    FuzzCheck((*policy)->MayOpenSession(session));
  }
  return 0;
}
