#include "attest/authz/policy/decision_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/authz/policy/decision_point.h"
#include "tests/fails_with.h"

namespace countersign::authz {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Verdict> One(std::string_view body) {
  auto read = ReadDecisionAnswer(body, AnswerShape::kEvaluation, 1);
  if (!read) return tl::unexpected<Error>(read.error());
  return read->front();
}

TEST(DecisionAnswerTest, ReadsAPermitWithItsConstraints) {
  const auto plain = One(R"({"decision":true})");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->decision.outcome, Outcome::kPermit);
  const auto narrow =
      One(R"({"decision":true,"context":{"grant_ttl_s":30,"id":7,)"
          R"("audiences":["https://a.example"]}})");
  ASSERT_TRUE(narrow.has_value());
  EXPECT_EQ(narrow->decision.grant_ttl_s, 30);
  EXPECT_THAT(narrow->audiences, ElementsAre("https://a.example"));
}

TEST(DecisionAnswerTest, ReadsADenialAndWhatWouldMakeItAPermit) {
  const auto denied =
      One(R"({"decision":false,"context":{"reason":"not\non Sundays"}})");
  ASSERT_TRUE(denied.has_value());
  EXPECT_EQ(denied->decision.reason, ErrorCode::kDecisionPointDenied);
  EXPECT_THAT(denied->decision.detail, HasSubstr("on Sundays"));
  EXPECT_EQ(denied->decision.detail.find('\n'), std::string::npos);
  const auto asks =
      One(R"({"decision":false,"context":{"outcome":"approval_required",)"
          R"("approval":"second-person"}})");
  ASSERT_TRUE(asks.has_value());
  EXPECT_EQ(asks->decision.outcome, Outcome::kApprovalRequired);
  EXPECT_EQ(asks->decision.approval, "second-person");
}

TEST(DecisionAnswerTest, TakesNothingElseForADecision) {
  for (const std::string_view body : {
           "",
           "true",
           "{}",
           "[]",
           "<html></html>",
           R"({"decision":"true"})",
           R"({"decision":1})",
           R"({"decision":null})",
           R"({"decision":true)",
           R"({"decision":false,"decision":true})",
           R"([{"decision":true}])",
           R"({"decision":true,"context":[]})",
           R"({"decision":true,"context":{"outcome":"deny"}})",
           R"({"decision":true,"context":{"outcome":"approval_required"}})",
           R"({"decision":true,"context":{"outcome":true}})",
           R"({"decision":false,"context":{"outcome":"permit"}})",
           R"({"decision":true,"context":{"grant_ttl_s":0}})",
           R"({"decision":true,"context":{"grant_ttl_s":301}})",
           R"({"decision":true,"context":{"grant_ttl_s":-1}})",
           R"({"decision":true,"context":{"grant_ttl_s":"60"}})",
           R"({"decision":true,"context":{"audiences":[]}})",
           R"({"decision":true,"context":{"audiences":"https://a"}})",
           R"({"decision":true,"context":{"audiences":[1]}})",
           R"({"decision":false,"context":{"outcome":"approval_required",)"
           R"("approval":"none"}})",
       }) {
    EXPECT_TRUE(FailsWith(One(body), ErrorCode::kDecisionPointAnswer)) << body;
  }
  EXPECT_TRUE(FailsWith(One(std::string(40, '[') + std::string(40, ']')),
                        ErrorCode::kDecisionPointAnswer));
}

TEST(DecisionAnswerTest, WantsOneDecisionForEachRequest) {
  constexpr std::string_view kTwo =
      R"({"evaluations":[{"decision":true},{"decision":false}]})";
  const auto read = ReadDecisionAnswer(kTwo, AnswerShape::kEvaluations, 2);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ((*read)[0].decision.outcome, Outcome::kPermit);
  EXPECT_EQ((*read)[1].decision.outcome, Outcome::kDeny);
  for (const size_t count : {0, 1, 3}) {
    EXPECT_TRUE(
        FailsWith(ReadDecisionAnswer(kTwo, AnswerShape::kEvaluations, count),
                  ErrorCode::kDecisionPointAnswer));
  }
  // A decision for all is not one for each.
  EXPECT_TRUE(FailsWith(
      ReadDecisionAnswer(R"({"decision":true})", AnswerShape::kEvaluations, 1),
      ErrorCode::kDecisionPointAnswer));
}

TEST(DecisionAnswerTest, ReadsWhatOpaAnswers) {
  const auto read = [](std::string_view body) {
    return ReadDecisionAnswer(body, AnswerShape::kOpaResult, 1);
  };
  EXPECT_EQ(read(R"({"result":true})")->front().decision.outcome,
            Outcome::kPermit);
  EXPECT_EQ(read(R"({"result":{"decision":false}})")->front().decision.outcome,
            Outcome::kDeny);
  // An undefined decision, and results that are none.
  for (const char* body : {"{}", R"({"result":[]})", R"({"result":"allow"})",
                           R"({"decision":true})"}) {
    EXPECT_TRUE(FailsWith(read(body), ErrorCode::kDecisionPointAnswer)) << body;
  }
}

TEST(DecisionAnswerTest, FindsAKeptDecisionAgain) {
  constexpr std::string_view kTwo =
      R"({"evaluations":[{"decision":true},{"decision":false}]})";
  const auto second = ReadKeptDecision(kTwo, AnswerShape::kEvaluations, 1);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->decision.outcome, Outcome::kDeny);
  EXPECT_TRUE(FailsWith(ReadKeptDecision(kTwo, AnswerShape::kEvaluations, 2),
                        ErrorCode::kDecisionPointAnswer));
}

PolicyDecision Permit(int64_t ttl_s) {
  PolicyDecision decision;
  decision.outcome = Outcome::kPermit;
  decision.rule = "r";
  decision.grant_ttl_s = ttl_s;
  return decision;
}

TEST(NarrowTest, NeverMakesMoreOfADecisionThanTheRulesDid) {
  const ActionFacts action{.name = "a",
                           .resource = "https://a.example/x",
                           .purpose = "",
                           .audience = "https://a.example"};
  Verdict point;
  point.decision = Permit(300);
  EXPECT_EQ(Narrow(Permit(60), point, action).grant_ttl_s, 60);
  point.decision.grant_ttl_s = 10;
  EXPECT_EQ(Narrow(Permit(60), point, action).grant_ttl_s, 10);
  point.decision.grant_ttl_s = 0;  // Not said.
  EXPECT_EQ(Narrow(Permit(60), point, action).grant_ttl_s, 60);

  PolicyDecision asks;
  asks.outcome = Outcome::kApprovalRequired;
  asks.reason = ErrorCode::kApprovalRequired;
  asks.approval = "webauthn";
  EXPECT_EQ(Narrow(asks, point, action).outcome, Outcome::kApprovalRequired);

  point.audiences = {"https://b.example"};
  EXPECT_EQ(Narrow(Permit(60), point, action).reason,
            ErrorCode::kAudienceNotAllowed);
  EXPECT_EQ(Narrow(asks, point, action).outcome, Outcome::kDeny);
  point.audiences.emplace_back("https://a.example");
  EXPECT_EQ(Narrow(Permit(60), point, action).outcome, Outcome::kPermit);
}

TEST(NarrowTest, LetsTheDecisionPointAskForAnApproval) {
  Verdict point;
  point.decision.outcome = Outcome::kApprovalRequired;
  point.decision.approval = "prompt";
  const PolicyDecision asked = Narrow(Permit(60), point, {});
  EXPECT_EQ(asked.outcome, Outcome::kApprovalRequired);
  EXPECT_EQ(asked.approval, "prompt");
  EXPECT_EQ(asked.grant_ttl_s, 0);
  // It knew of the approval when it permitted, which is thereby used.
  point.decision = Permit(60);
  EXPECT_EQ(Narrow(Permit(60), point, {.approval = "prompt"}).approval,
            "prompt");
}

TEST(CircuitTest, LetsOneTryASecondAfterAFailure) {
  Circuit circuit;
  EXPECT_FALSE(circuit.Refusal(0));
  circuit.Failed(0, {ErrorCode::kDecisionPointUnreachable, "refused"});
  ASSERT_TRUE(circuit.Refusal(999));
  EXPECT_THAT(circuit.Refusal(999)->detail, HasSubstr("refused"));
  EXPECT_FALSE(circuit.Refusal(1000));  // This one tries,
  EXPECT_TRUE(circuit.Refusal(1000));   // nobody else does.
  circuit.Succeeded();
  EXPECT_FALSE(circuit.Refusal(1001));
}

}  // namespace
}  // namespace countersign::authz
