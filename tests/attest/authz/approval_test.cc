// What an approval that an action carries is worth to the service.
#include "attest/authz/approval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/authz/audit/action_report.h"
#include "attest/authz/decision_request.h"
#include "attest/jose/jws.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using statement::StatementType;
using testing::HasSubstr;
using testing::Not;

constexpr char kApprovalRules[] = R"(
[[rule]]
name = "post-orders"
outcome = "permit"
action = ["http:POST"]

[[rule]]
name = "ask-the-user"
outcome = "approval_required"
approval = "prompt"
action = ["http:DELETE"]
grant_ttl_s = 60

[[rule]]
name = "ask-a-key"
outcome = "approval_required"
approval = "webauthn"
action = ["http:PUT"]

[[rule]]
name = "ask-another"
outcome = "approval_required"
approval = "second-person"
action = ["http:PATCH"]
)";

uint32_t Number(ErrorCode code) { return static_cast<uint32_t>(code); }

class ApprovalTest : public testing::Test {
 protected:
  ApprovalTest() : rig_({.rules = kApprovalRules}), laptop_(rig_) {
    laptop_.Enroll();
    session_ = laptop_.OpenSession();
  }

  // An action with the user's approval, as the daemon makes it.
  v1::Action Approved(
      const std::string& name = "http:DELETE",
      const std::string& reference = "000102030405060708090a0b0c0d0e0f") {
    v1::Action action = laptop_.NewAction(session_, name);
    v1::Approval& approval = *action.mutable_approval();
    approval.set_request_digest(AsString(statement::StatementDigest(
        StatementType::kActionRequest, AsBytes(action.action_request()))));
    approval.set_grade("prompt");
    approval.set_approver("os:1000");
    approval.set_reference(reference);
    return action;
  }
  v1::ActionDecision Decide(const v1::Action& action) {
    return laptop_.Decide(laptop_.NewBatch({action}))[0];
  }
  v1::LedgerEntry EntryOf(const v1::ActionDecision& decision) {
    return rig_.Ledger()[decision.ledger_index()];
  }
  std::string ClaimsOf(const v1::ActionDecision& decision) {
    jose::KeySet keys;
    keys.Add(rig_.service_key.public_key());
    const auto jws = jose::VerifyJws(decision.grant(), jose::kTypGrant, keys);
    return jws.has_value() ? jws->claims_json : "";
  }
  std::map<std::string, CheckedLine> Audit(const v1::ActionDecision& decision) {
    std::map<std::string, CheckedLine> lines;
    const Status read = rig_.store->Read([&](StoreView& view) -> Status {
      CS_ASSIGN_OR_RETURN(
          const auto report,
          ReportAction(view, rig_.config, rig_.ledger_key.verifier(),
                       std::to_string(decision.ledger_index())));
      EXPECT_TRUE(report.holds());
      for (const auto* part : {&report.who, &report.valid_then}) {
        for (const CheckedLine& line : *part) lines[line.key] = line;
      }
      return {};
    });
    EXPECT_TRUE(read.has_value());
    return lines;
  }
  void ExpectAsked(const v1::ActionDecision& decision,
                   const std::string& grade) {
    EXPECT_EQ(decision.decision(), "approval_required");
    EXPECT_EQ(decision.reason(), Number(ErrorCode::kApprovalRequired));
    EXPECT_EQ(decision.approval_grade(), grade);
    EXPECT_TRUE(decision.grant().empty());
  }
  void ExpectDenied(const v1::ActionDecision& decision, ErrorCode code) {
    EXPECT_EQ(decision.decision(), "deny");
    EXPECT_EQ(decision.reason(), Number(code)) << decision.reason();
    EXPECT_TRUE(decision.grant().empty());
    EXPECT_TRUE(decision.approval_grade().empty());
    EXPECT_EQ(EntryOf(decision).reason(), Number(code));
  }

  ServiceRig rig_;
  Laptop laptop_;
  LaptopSession session_;
};

TEST_F(ApprovalTest, PermitsWhatTheUserApproved) {
  const v1::Action action = Approved();
  const v1::ActionDecision decision = Decide(action);
  EXPECT_EQ(decision.decision(), "permit");
  EXPECT_EQ(decision.rule(), "ask-the-user");
  EXPECT_EQ(decision.approval_grade(), "prompt");
  EXPECT_EQ(decision.grant_expires_s(), rig_.clock.NowMs() / 1000 + 60);
  EXPECT_THAT(ClaimsOf(decision),
              HasSubstr(R"("approval":{"grade":"prompt","approver":"os:1000",)"
                        R"("reference":"000102030405060708090a0b0c0d0e0f"})"));
  const v1::LedgerEntry entry = EntryOf(decision);
  EXPECT_EQ(entry.decision(), "permit");
  EXPECT_EQ(entry.approval_grade(), "prompt");
  EXPECT_EQ(entry.approval_reference(), action.approval().reference());
}

TEST_F(ApprovalTest, AsksForItWithoutOne) {
  const v1::ActionDecision decision =
      laptop_.Authorize(session_, "http:DELETE");
  ExpectAsked(decision, "prompt");
  EXPECT_EQ(EntryOf(decision).approval_grade(), "prompt");
  EXPECT_TRUE(EntryOf(decision).approval_reference().empty());
}

TEST_F(ApprovalTest, PromptSatisfiesNoStrongerRule) {
  ExpectAsked(Decide(Approved("http:PUT")), "webauthn");
  ExpectAsked(Decide(Approved("http:PATCH")), "second-person");
}

// A device can write any grade into what it quotes.
TEST_F(ApprovalTest, BelievesNoStrongerGradeOfADevice) {
  for (const char* name : {"http:PUT", "http:PATCH", "http:DELETE"}) {
    for (const char* grade : {"webauthn", "second-person"}) {
      v1::Action action = Approved(name);
      action.mutable_approval()->set_grade(grade);
      EXPECT_EQ(Decide(action).decision(), "approval_required")
          << name << " " << grade;
    }
  }
}

TEST_F(ApprovalTest, CountsNoApprovalByAnotherUser) {
  for (const char* approver : {"os:1001", "os:", "1000", "ada"}) {
    v1::Action action = Approved();
    action.mutable_approval()->set_approver(approver);
    ExpectAsked(Decide(action), "prompt");
  }
}

TEST_F(ApprovalTest, RejectsAnApprovalOfAnotherRequest) {
  v1::Action action = Approved();
  *action.mutable_approval() = Approved("http:POST").approval();
  ExpectDenied(Decide(action), ErrorCode::kActionInvalid);
}

TEST_F(ApprovalTest, RejectsAMalformedApproval) {
  const auto rejects = [this](auto change) {
    v1::Action action = Approved();
    change(*action.mutable_approval());
    ExpectDenied(Decide(action), ErrorCode::kActionInvalid);
  };
  rejects([](v1::Approval& approval) { approval.set_grade("a-wink"); });
  rejects([](v1::Approval& approval) { approval.clear_grade(); });
  rejects([](v1::Approval& approval) { approval.clear_approver(); });
  rejects([](v1::Approval& approval) { approval.set_approver("os:1\n0"); });
  rejects([](v1::Approval& approval) { approval.clear_reference(); });
  rejects([](v1::Approval& approval) {
    approval.set_reference(std::string(65, '0'));
  });
}

TEST_F(ApprovalTest, RejectsAnApprovalOfASessionsEnd) {
  v1::Action end = Approved();
  end.set_session_end("client_closed");
  end.clear_action_request();
  end.mutable_approval()->set_request_digest(AsString(
      statement::StatementDigest(StatementType::kActionRequest, ByteSpan())));
  ExpectDenied(Decide(end), ErrorCode::kActionInvalid);
}

TEST_F(ApprovalTest, RejectsAnApprovalThatWasUsedBefore) {
  EXPECT_EQ(Decide(Approved()).decision(), "permit");
  const v1::ActionDecision again = Decide(Approved());
  ExpectDenied(again, ErrorCode::kApprovalUsed);
  EXPECT_FALSE(EntryOf(again).approval_reference().empty());
  // Not for as long as its session could use it, either.
  EXPECT_TRUE(rig_.store
                  ->Write([&](StoreTransaction& transaction) {
                    return transaction.DropExpired(rig_.clock.NowMs());
                  })
                  .has_value());
  ExpectDenied(Decide(Approved()), ErrorCode::kApprovalUsed);
  EXPECT_EQ(Decide(Approved("http:DELETE", "another")).decision(), "permit");
}

TEST_F(ApprovalTest, TakesAnApprovalOnceWithinABatch) {
  const auto decisions =
      laptop_.Decide(laptop_.NewBatch({Approved(), Approved()}));
  EXPECT_EQ(decisions[0].decision(), "permit");
  ExpectDenied(decisions[1], ErrorCode::kApprovalUsed);
}

TEST_F(ApprovalTest, AnswersTheSameBatchAsBefore) {
  const v1::BatchEvidence batch = laptop_.NewBatch({Approved()});
  const auto first = laptop_.Decide(batch);
  const auto again = rig_.authorizer->Authorize(batch);
  ASSERT_TRUE(again.has_value()) << again.error().detail;
  EXPECT_EQ(again->answer.decisions(0).decision(), "permit");
  EXPECT_EQ(again->answer.decisions(0).grant_jti(), first[0].grant_jti());
  EXPECT_THAT(ClaimsOf(again->answer.decisions(0)),
              HasSubstr(R"("approval":{)"));
}

TEST_F(ApprovalTest, IsNotUsedUpByWhatIsNotPermitted) {
  v1::BatchEvidence late = laptop_.NewBatch({Approved()});
  late.set_late(true);
  ExpectDenied(laptop_.Decide(late)[0], ErrorCode::kLateBatch);
  ExpectAsked(Decide(Approved("http:PUT")), "webauthn");
  EXPECT_EQ(Decide(Approved()).decision(), "permit");
}

TEST_F(ApprovalTest, ThatNoRuleAskedForIsRecordedAndCountsForNothing) {
  const v1::ActionDecision decision = Decide(Approved("http:POST"));
  EXPECT_EQ(decision.decision(), "permit");
  EXPECT_TRUE(decision.approval_grade().empty());
  EXPECT_THAT(ClaimsOf(decision), Not(HasSubstr("approval")));
  EXPECT_TRUE(EntryOf(decision).approval_grade().empty());
  EXPECT_FALSE(EntryOf(decision).approval_reference().empty());
  const auto lines = Audit(decision);
  EXPECT_EQ(lines.at("approval").mark, Mark::kAbsent);
  EXPECT_THAT(lines.at("approval").proof, HasSubstr("no rule asked"));
  EXPECT_EQ(Decide(Approved()).decision(), "permit");  // Not used up.
}

TEST_F(ApprovalTest, AnAuditSaysWhoApprovedAndWhatThatShows) {
  const auto lines = Audit(Decide(Approved()));
  EXPECT_EQ(lines.at("approver").mark, Mark::kOk);
  EXPECT_THAT(lines.at("approver").fact, HasSubstr("os:1000"));
  EXPECT_THAT(lines.at("approver").proof, HasSubstr("not that a person did"));
  EXPECT_EQ(lines.at("approval").mark, Mark::kOk);
  EXPECT_THAT(lines.at("approval").fact, HasSubstr("'prompt'"));
  EXPECT_EQ(lines.at("policy").mark, Mark::kOk);
}

TEST_F(ApprovalTest, StandsInTheDecisionRequest) {
  const v1::Action action = Approved();
  v1::ActionRequest request;
  EXPECT_THAT(DecisionRest({}, request, action.approval()),
              HasSubstr(R"("approval":{"grade":"prompt")"));
  // Whoever decides sees whether it counts, too.
  EXPECT_THAT(DecisionRest({}, request, action.approval()),
              Not(HasSubstr("\"approved\"")));
  EXPECT_THAT(DecisionRest({.approval = "prompt"}, request, action.approval()),
              HasSubstr(R"("approved":"prompt")"));
  EXPECT_THAT(DecisionRest({}, request, {}), Not(HasSubstr("approv")));
}

}  // namespace
}  // namespace countersign::authz
