// Decisions that need more than the rule file: a decision point over real
// HTTPS, which may be hostile or gone, and counts of what a task has done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "attest/authz/audit/action_report.h"
#include "attest/authz/http_server.h"
#include "attest/authz/policy/decision_answer.h"
#include "attest/authz/policy/decision_point.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kPermit[] = R"({"decision":true})";
constexpr char kTwo[] =
    R"({"evaluations":[{"decision":true},)"
    R"({"decision":false,"context":{"reason":"not twice"}}]})";

// Answers everything with what a test puts here, and remembers what it got.
class Peer final : public RequestHandler {
 public:
  size_t MaxBody(std::string_view, std::string_view) const override {
    return 1 << 20;
  }
  Response Handle(const Request& request) override {
    {
      const std::lock_guard lock(mutex);
      requests.push_back(request);
    }
    if (delay.count() > 0) std::this_thread::sleep_for(delay);
    Response response;
    response.content_type = "application/json";
    if (request.path == "/.well-known/authzen-configuration") {
      response.status = metadata.empty() ? 404 : 200;
      response.body = metadata;
    } else {
      response.status = status;
      response.body =
          request.path == "/access/v1/evaluations" ? batch_answer : answer;
      if (!no_word_about.empty() &&
          request.body.find(no_word_about) != std::string::npos) {
        response.body = "{}";
      }
    }
    return response;
  }
  Response Refusal(int code) const override {
    Response response;
    response.status = code;
    return response;
  }

  std::mutex mutex;
  std::vector<Request> requests;
  std::string metadata;
  std::string answer = kPermit;
  std::string batch_answer = kTwo;
  std::string no_word_about;
  int status = 200;
  std::chrono::milliseconds delay{0};
};

std::map<std::string, CheckedLine> Audit(ServiceRig& rig, uint64_t index) {
  std::map<std::string, CheckedLine> lines;
  const auto read = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(
        const ActionReport report,
        ReportAction(view, rig.config, rig.ledger_key.verifier(),
                     std::to_string(index)));
    for (const CheckedLine& line : report.valid_then) lines[line.key] = line;
    return {};
  };
  EXPECT_TRUE(rig.store->Read(read).has_value());
  return lines;
}

class DecisionPointTest : public testing::Test {
 protected:
  DecisionPointTest() {
    const std::string cert = folder_.Path("cert.pem");
    EXPECT_TRUE(MakePrivateTls("localhost", folder_.Path("ca.pem"), cert,
                               folder_.Path("key.pem"))
                    .has_value());
    Listen("127.0.0.1:0");
    DecisionPointConfig config;
    config.url = "https://localhost:" + std::to_string(server_->port());
    config.ca_file = folder_.Path("ca.pem");
    config.timeout_ms = 300;
    point_ = *DecisionPoint::Create(config, clock_);
    rig_.emplace(RigOptions{.decision_point = point_.get()});
    laptop_.emplace(*rig_);
    laptop_->Enroll();
    session_ = laptop_->OpenSession();
  }
  void Listen(const std::string& where) {
    server_ = *HttpServer::Start(
        {.listen = where},
        *TlsContext::Load(folder_.Path("cert.pem"), folder_.Path("key.pem")),
        peer_);
  }
  v1::ActionDecision Ask() { return laptop_->Authorize(session_); }
  void ExpectDenied(ErrorCode reason, const std::string& words) {
    const v1::ActionDecision decision = Ask();
    EXPECT_EQ(decision.decision(), "deny");
    EXPECT_EQ(decision.reason(), static_cast<uint32_t>(reason));
    EXPECT_THAT(decision.detail(), HasSubstr(words));
    EXPECT_TRUE(decision.grant().empty());
    EXPECT_EQ(Audit(*rig_, decision.ledger_index()).at("policy").mark,
              Mark::kOk);
  }

  TempFolder folder_;
  FakeClock clock_;
  Peer peer_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<DecisionPoint> point_;
  std::optional<ServiceRig> rig_;
  std::optional<Laptop> laptop_;
  LaptopSession session_;
};

TEST_F(DecisionPointTest, PermitsWhatRulesAndPointPermit) {
  peer_.answer = R"({"decision":true,"context":{"grant_ttl_s":7}})";
  const v1::ActionDecision decision = Ask();
  EXPECT_EQ(decision.decision(), "permit");
  EXPECT_EQ(decision.rule(), "post-orders");
  EXPECT_FALSE(decision.grant().empty());
  EXPECT_EQ(decision.grant_expires_s(), rig_->clock.NowMs() / 1000 + 7);
  ASSERT_EQ(peer_.requests.size(), 1u);
  EXPECT_EQ(peer_.requests[0].path, "/access/v1/evaluation");
  EXPECT_THAT(
      peer_.requests[0].body,
      AllOf(HasSubstr(R"({"subject":{"type":"user","id":"os:)"),
            HasSubstr(R"("action":{"name":"http:POST"})"),
            HasSubstr(R"("resource":{"type":"uri","id":"https://api.exam)"),
            HasSubstr(R"("context":{"format":2,"time":"2025-06-15T15:06:40Z")"),
            HasSubstr(R"("device":{"id":")"), HasSubstr(R"("boot":")"),
            HasSubstr(R"("task":{"id":"task-1","actions":0})")));
  const auto lines = Audit(*rig_, decision.ledger_index());
  EXPECT_EQ(lines.at("policy").mark, Mark::kOk) << lines.at("policy").fact;
  EXPECT_THAT(lines.at("policy").proof, HasSubstr("decision point"));
}

TEST_F(DecisionPointTest, IsNotAskedAboutWhatTheRulesDeny) {
  const v1::ActionDecision decision = laptop_->Authorize(session_, "http:GET");
  EXPECT_EQ(decision.reason(), static_cast<uint32_t>(ErrorCode::kPolicyDenied));
  EXPECT_TRUE(peer_.requests.empty());
}

TEST_F(DecisionPointTest, DeniesWithItsReason) {
  peer_.answer = R"({"decision":false,"context":{"reason":"not on Sundays"}})";
  ExpectDenied(ErrorCode::kDecisionPointDenied, "not on Sundays");
}

TEST_F(DecisionPointTest, AsksForTheApprovalThatItWants) {
  peer_.answer =
      R"({"decision":false,"context":{"outcome":"approval_required",)"
      R"("approval":"prompt"}})";
  const v1::ActionDecision decision = Ask();
  EXPECT_EQ(decision.decision(), "approval_required");
  EXPECT_EQ(decision.approval_grade(), "prompt");
}

TEST_F(DecisionPointTest, DeniesOnAnAnswerThatIsNoDecision) {
  peer_.answer = "<html>Welcome</html>";
  ExpectDenied(ErrorCode::kDecisionPointAnswer, "JSON");
  peer_.answer = R"({"decision":"yes"})";
  ExpectDenied(ErrorCode::kDecisionPointAnswer, "decision");
  peer_.answer = std::string(kMaxDecisionAnswer + 1, ' ');
  ExpectDenied(ErrorCode::kDecisionPointAnswer, "larger");
  peer_.answer = kPermit;
  peer_.status = 401;
  ExpectDenied(ErrorCode::kDecisionPointAnswer, "401");
}

TEST_F(DecisionPointTest, DeniesWhileItIsDownOrSlowAndPermitsAgain) {
  EXPECT_EQ(Ask().decision(), "permit");
  peer_.status = 503;
  ExpectDenied(ErrorCode::kDecisionPointUnreachable, "503");
  peer_.status = 200;
  // It just failed: nobody is held up by asking it again at once.
  const size_t before = peer_.requests.size();
  ExpectDenied(ErrorCode::kDecisionPointUnreachable, "not asked again yet");
  EXPECT_EQ(peer_.requests.size(), before);
  clock_.Advance(Circuit::kPauseMs);
  EXPECT_EQ(Ask().decision(), "permit");

  peer_.delay = std::chrono::milliseconds(600);
  ExpectDenied(ErrorCode::kDecisionPointUnreachable, "timeout");
  peer_.delay = std::chrono::milliseconds(0);
  const int port = server_->port();
  server_->Stop(std::chrono::seconds(1));
  clock_.Advance(Circuit::kPauseMs);
  ExpectDenied(ErrorCode::kDecisionPointUnreachable, "localhost");
  Listen("127.0.0.1:" + std::to_string(port));
  clock_.Advance(Circuit::kPauseMs);
  EXPECT_EQ(Ask().decision(), "permit");
}

TEST_F(DecisionPointTest, SendsTheActionsOfOneSessionTogetherWhereOffered) {
  // It knows itself by another name, and is asked where it is configured.
  peer_.metadata =
      R"({"access_evaluations_endpoint":"https://elsewhere.example/x"})";
  const auto both = laptop_->Decide(laptop_->NewBatch(
      {laptop_->NewAction(session_), laptop_->NewAction(session_)}));
  EXPECT_EQ(both[0].decision(), "permit");
  EXPECT_EQ(both[1].decision(), "deny");
  EXPECT_EQ(both[1].detail(), "not twice");
  ASSERT_EQ(peer_.requests.size(), 2u);
  EXPECT_EQ(peer_.requests[1].path, "/access/v1/evaluations");
  EXPECT_THAT(peer_.requests[1].body, HasSubstr(R"("evaluations":[{"action")"));
  for (const auto& decision : both) {
    EXPECT_EQ(Audit(*rig_, decision.ledger_index()).at("policy").mark,
              Mark::kOk);
  }
  // One decision too few is none at all.
  peer_.batch_answer = R"({"evaluations":[{"decision":true}]})";
  const auto none = laptop_->Decide(laptop_->NewBatch(
      {laptop_->NewAction(session_), laptop_->NewAction(session_)}));
  for (const auto& decision : none) {
    EXPECT_EQ(decision.reason(),
              static_cast<uint32_t>(ErrorCode::kDecisionPointAnswer));
  }
}

TEST_F(DecisionPointTest, AsksForEachSessionApart) {
  // Some tell subjects apart by their id alone: two programs of one user must
  // not lend each other what they are.
  peer_.metadata = R"({"access_evaluations_endpoint":"x"})";
  const LaptopSession other = laptop_->OpenSession();
  const auto both = laptop_->Decide(laptop_->NewBatch(
      {laptop_->NewAction(session_), laptop_->NewAction(other)}));
  EXPECT_EQ(both[1].decision(), "permit");
  ASSERT_EQ(peer_.requests.size(), 2u);
  EXPECT_EQ(peer_.requests[1].path, "/access/v1/evaluation");
}

TEST_F(DecisionPointTest, AsksOneByOneWhereBatchesAreNotOffered) {
  const auto both = laptop_->Decide(laptop_->NewBatch(
      {laptop_->NewAction(session_), laptop_->NewAction(session_)}));
  EXPECT_EQ(both[1].decision(), "permit");
  EXPECT_EQ(peer_.requests.size(), 3u);  // The first was for the metadata.
}

TEST_F(DecisionPointTest, TheRecordOfADecisionIsTheServicesAlone) {
  v1::BatchEvidence batch = laptop_->NewBatch({laptop_->NewAction(session_)});
  batch.mutable_decided()->set_time_ms(1);
  const auto outcome = laptop_->Send(batch);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::kMalformedStatement);
}

constexpr char kLimited[] = R"(
[[rule]]
name = "a-few"
outcome = "permit"
action = ["http:POST"]
max_actions_per_task = 2
)";

v1::Action OfTask(Laptop& laptop, const LaptopSession& session,
                  const std::string& task) {
  v1::Action action = laptop.NewAction(session);
  v1::ActionRequest request;
  request.ParseFromString(action.action_request());
  request.set_task_id(task);
  action.set_action_request(AsString(statement::SerializeStatement(request)));
  return action;
}

std::vector<std::string> Reasons(
    const std::vector<v1::ActionDecision>& decisions) {
  std::vector<std::string> reasons;
  for (const auto& decision : decisions) {
    const auto code = ErrorCodeFromNumber(decision.reason());
    reasons.emplace_back(decision.reason() == 0 ? "permit" : Name(*code));
  }
  return reasons;
}

TEST_F(DecisionPointTest, DeniesNoOtherActionForABadAnswerAboutOne) {
  peer_.no_word_about = "mute";
  EXPECT_THAT(
      Reasons(laptop_->Decide(laptop_->NewBatch(
          {OfTask(*laptop_, session_, "a"), OfTask(*laptop_, session_, "mute"),
           OfTask(*laptop_, session_, "b")}))),
      ElementsAre("permit", "decision_point_answer", "permit"));
}

TEST(TaskLimitTest, HoldsWithinABatchAndFromOneToTheNext) {
  ServiceRig rig({.rules = kLimited});
  Laptop laptop(rig);
  laptop.Enroll();
  const LaptopSession session = laptop.OpenSession();
  const auto first = laptop.Decide(laptop.NewBatch(
      {OfTask(laptop, session, "a"), OfTask(laptop, session, "b"),
       OfTask(laptop, session, "a"), OfTask(laptop, session, "a")}));
  EXPECT_THAT(Reasons(first),
              ElementsAre("permit", "permit", "permit", "task_limit"));
  const auto second = laptop.Decide(laptop.NewBatch(
      {OfTask(laptop, session, "a"), OfTask(laptop, session, "b"),
       OfTask(laptop, session, "b")}));
  EXPECT_THAT(Reasons(second),
              ElementsAre("task_limit", "permit", "task_limit"));
  for (const auto& decision : second) {
    EXPECT_EQ(Audit(rig, decision.ledger_index()).at("policy").mark, Mark::kOk);
  }
  // Another session's task of that name is another task.
  const LaptopSession other = laptop.OpenSession();
  EXPECT_THAT(
      Reasons(laptop.Decide(laptop.NewBatch({OfTask(laptop, other, "a")}))),
      ElementsAre("permit"));
}

// While one batch is decided, the task does its last actions elsewhere.
class Meanwhile final : public Decider {
 public:
  std::vector<Verdict> Decide(std::span<const Question> questions) override {
    const auto spend = [this](StoreTransaction& transaction) {
      return transaction.PutTask(row);
    };
    EXPECT_TRUE(store->Write(spend).has_value());
    Verdict permit;
    permit.decision.outcome = Outcome::kPermit;
    permit.body = std::make_shared<const std::string>(kPermit);
    return {questions.size(), permit};
  }
  Store* store = nullptr;
  TaskRow row;
};

TEST(TaskLimitTest, HoldsWhenTwoBatchesAreDecidedAtOnce) {
  Meanwhile meanwhile;
  ServiceRig rig({.rules = kLimited, .decision_point = &meanwhile});
  Laptop laptop(rig);
  laptop.Enroll();
  const LaptopSession session = laptop.OpenSession();
  meanwhile.store = rig.store.get();
  meanwhile.row = {.session_id = ToBytes(AsBytes(session.binding.session_id())),
                   .task_id = "a",
                   .actions = 1};
  const auto decided = laptop.Decide(laptop.NewBatch(
      {OfTask(laptop, session, "a"), OfTask(laptop, session, "a")}));
  EXPECT_THAT(Reasons(decided), ElementsAre("permit", "task_limit"));
}

}  // namespace
}  // namespace countersign::authz
