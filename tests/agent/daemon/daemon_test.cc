// The daemon's main job and its rules, through its socket.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "agent/daemon/doctor.h"
#include "attest/base/digest.h"
#include "attest/jose/dpop.h"
#include "attest/statement/statement.h"
#include "tests/agent/daemon/daemon_rig.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

using std::chrono::seconds;

// Enrolled, with a session of this process.
class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Succeeds(rig_.Enroll()));
    client_.emplace(rig_.Connect());
    const auto session = rig_.OpenSession(*client_);
    ASSERT_TRUE(Succeeds(session));
    session_ = *session;
  }
  void TearDown() override {
    EXPECT_EQ(rig_.service.complaints(), std::vector<std::string>());
  }

  DaemonRig rig_;
  std::optional<Client> client_;
  std::string session_;
};

TEST_F(DaemonTest, AuthorizesAnActionAndHandsOutItsGrant) {
  const auto answer = rig_.Authorize(*client_, session_);
  ASSERT_TRUE(Succeeds(answer));
  EXPECT_EQ(answer->decision(), "permit");
  EXPECT_FALSE(answer->grant().empty());
  EXPECT_EQ(answer->sequence(), 0u);
  const auto actions = rig_.service.actions();
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(AsString(statement::StatementDigest(
                statement::StatementType::kAction,
                statement::SerializeStatement(actions[0]))),
            answer->action_digest());
}

TEST_F(DaemonTest, DeniesWithAReasonAndWithoutAGrant) {
  const auto answer = rig_.Authorize(*client_, session_, "test:deny");
  ASSERT_TRUE(Succeeds(answer));
  EXPECT_EQ(answer->decision(), "deny");
  EXPECT_EQ(answer->reason().reason(), "policy_denied");
  EXPECT_TRUE(answer->grant().empty());
  EXPECT_TRUE(answer->bundle().empty());
}

TEST_F(DaemonTest, HandsOutABundleOnlyWithAPermit) {
  for (const bool permit : {true, false}) {
    v1::Request ask = AuthorizeAsk(session_, permit ? "test:do" : "test:deny");
    ask.mutable_authorize()->set_want_bundle(true);
    const auto answer = client_->Call(ask, seconds(20));
    ASSERT_TRUE(Succeeds(answer));
    v1::EvidenceBundle bundle;
    ASSERT_TRUE(bundle.ParseFromString(answer->authorize().bundle()));
    EXPECT_EQ(bundle.has_action(), permit);
    EXPECT_EQ(bundle.has_session(), permit);
    EXPECT_EQ(bundle.session().event_log().empty(), !permit);
    EXPECT_EQ(bundle.decision_entry().checkpoint(), permit ? "test" : "");
  }
}

TEST_F(DaemonTest, GathersWhatArrivesDuringAQuoteIntoOneBatch) {
  rig_.tpm.Hold();
  std::set<uint64_t> ids;
  ids.insert(*client_->Send(AuthorizeAsk(session_), seconds(5)));
  ASSERT_TRUE(
      Eventually([&] { return rig_.Status().undelivered_batches() == 1; }));
  for (int i = 0; i < 99; ++i) {
    ids.insert(*client_->Send(AuthorizeAsk(session_), seconds(5)));
  }
  // A request on the same connection is read after all of these.
  v1::Request list;
  list.mutable_list_sessions();
  ASSERT_TRUE(Succeeds(client_->Call(list, seconds(5))));
  rig_.tpm.Release();
  while (!ids.empty()) {
    const auto answer = client_->Receive(seconds(20));
    ASSERT_TRUE(Succeeds(answer));
    EXPECT_EQ(answer->authorize().decision(), "permit");
    EXPECT_EQ(ids.erase(answer->request_id()), 1u);
  }
  const auto batches = rig_.service.accepted();
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].actions.size(), 1u);
  EXPECT_EQ(batches[1].actions.size(), 99u);
}

TEST_F(DaemonTest, NumbersActionsWithoutAGap) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Succeeds(rig_.Authorize(*client_, session_)));
    // Refused here: gets no number.
    EXPECT_TRUE(FailsWith(rig_.Authorize(*client_, session_, "no colon"),
                          ErrorCode::kActionInvalid));
  }
  const auto actions = rig_.service.actions();
  ASSERT_EQ(actions.size(), 20u);
  for (uint64_t i = 0; i < actions.size(); ++i) {
    EXPECT_EQ(actions[i].sequence(), i);
  }
}

TEST_F(DaemonTest, RejectsAnActionThatDoesNotFit) {
  v1::Request ask = AuthorizeAsk(session_);
  ask.mutable_authorize()->set_resource("https://api.test/" +
                                        std::string(1000, 'r'));
  ask.mutable_authorize()->set_purpose(std::string(256, 'p'));
  ask.mutable_authorize()->set_task_id(std::string(256, 't'));
  ask.mutable_authorize()->set_grant_audience("https://api.test/" +
                                              std::string(480, 'a'));
  EXPECT_TRUE(FailsWith(client_->Call(ask, seconds(5)), ErrorCode::kTooLarge));
}

TEST_F(DaemonTest, RejectsAFrameThatDoesNotEchoTheNonce) {
  auto raw = platform::LocalConnection::Connect(rig_.config.socket, seconds(5));
  ASSERT_TRUE(Succeeds(raw));
  v1::Request request;
  request.set_request_id(1);
  request.set_nonce("not that one....");
  request.mutable_status();
  Bytes frame;
  AppendFrame(*EncodeRequest(request, Encoding::kProtobuf), frame);
  ASSERT_TRUE(Succeeds(raw->WriteAll(frame, seconds(5))));
  FrameDecoder decoder(kMaxClientFrame);
  std::vector<v1::Response> answers;
  while (answers.size() < 2) {
    ASSERT_TRUE(Succeeds(raw->WaitReadable(seconds(5))));
    const auto received = raw->Read(65536);
    ASSERT_TRUE(Succeeds(received));
    decoder.Feed((*received)->bytes);
    for (auto next = decoder.Next(); next->has_value(); next = decoder.Next()) {
      answers.push_back(*DecodeResponse(**next));
    }
  }
  EXPECT_TRUE(answers[0].has_hello());
  EXPECT_EQ(answers[1].error().reason(), "nonce_mismatch");
}

// A44: the connection is pinned to the process that made it. A child that
// inherits it may write to it, and is not heard.
TEST_F(DaemonTest, RejectsAFrameThatAnotherProcessWrote) {
  auto raw = platform::LocalConnection::Connect(rig_.config.socket, seconds(5));
  ASSERT_TRUE(Succeeds(raw));
  FrameDecoder decoder(kMaxClientFrame);
  const auto next = [&]() -> v1::Response {
    while (true) {
      const auto payload = decoder.Next();
      if (payload->has_value()) return *DecodeResponse(**payload);
      if (!raw->WaitReadable(seconds(5)).has_value()) return {};
      decoder.Feed((**raw->Read(65536)).bytes);
    }
  };
  v1::Request request = AuthorizeAsk(session_);
  request.set_request_id(1);
  request.set_nonce(next().hello().nonce());
  Bytes frame;
  AppendFrame(*EncodeRequest(request, Encoding::kProtobuf), frame);
  const pid_t child = ::fork();
  if (child == 0) {
    (void)!::write(raw->handle(), frame.data(), frame.size());
    ::_exit(0);
  }
  EXPECT_EQ(next().error().reason(), "peer_changed");
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(rig_.service.actions().empty());
}

TEST_F(DaemonTest, AnswersJsonInJson) {
  auto raw = platform::LocalConnection::Connect(rig_.config.socket, seconds(5));
  ASSERT_TRUE(Succeeds(raw));
  FrameDecoder decoder(kMaxClientFrame);
  const auto next = [&]() -> Bytes {
    while (true) {
      const auto payload = decoder.Next();
      if (payload->has_value()) return **payload;
      if (!raw->WaitReadable(seconds(5)).has_value()) return {};
      decoder.Feed((**raw->Read(65536)).bytes);
    }
  };
  const auto hello = DecodeResponse(next());
  ASSERT_TRUE(Succeeds(hello));
  v1::Request request;
  request.set_request_id(5);
  request.set_nonce(hello->hello().nonce());
  request.mutable_status();
  Bytes frame;
  AppendFrame(*EncodeRequest(request, Encoding::kJson), frame);
  ASSERT_TRUE(Succeeds(raw->WriteAll(frame, seconds(5))));
  const std::string answer = AsString(next());
  EXPECT_EQ(answer.front(), '{');
  EXPECT_NE(answer.find("\"requestId\":\"5\""), std::string::npos) << answer;
}

TEST_F(DaemonTest, BindsTheSessionToThisProcess) {
  const v1::SessionBinding binding = rig_.service.last_binding();
  EXPECT_EQ(binding.workload().pid(), static_cast<uint32_t>(::getpid()));
  EXPECT_EQ(binding.user().os_id(), std::to_string(::geteuid()));
  EXPECT_NE(binding.workload().executable_path().find("agent_daemon"),
            std::string::npos);
  EXPECT_EQ(binding.workload().executable_sha256().size(), 32u);
  EXPECT_EQ(binding.key_kind(), "memory");
  EXPECT_EQ(binding.tls_exporter(), std::string(32, 'e'));
  bool kernel = false;
  for (const auto& seen : binding.workload().observations()) {
    kernel |=
        seen.name() == "executable_path" && seen.grade() == v1::GRADE_KERNEL;
  }
  EXPECT_TRUE(kernel);
}

TEST_F(DaemonTest, SignsDpopForItsGrantAndNoOtherPlace) {
  const auto answer = rig_.Authorize(*client_, session_);
  ASSERT_TRUE(Succeeds(answer));
  v1::Request ask;
  v1::SignDpopRequest& sign = *ask.mutable_sign_dpop();
  sign.set_session_id(session_);
  sign.set_method("GET");
  sign.set_uri("https://api.test/v1/things?q=1");
  sign.set_grant(answer->grant());
  const auto proof = client_->Call(ask, seconds(5));
  ASSERT_TRUE(Succeeds(proof));
  jose::ExpectedDpop expected;
  expected.method = "GET";
  expected.uri = "https://api.test/v1/things";
  expected.access_token = answer->grant();
  expected.jkt = rig_.service.last_binding().pop_jkt();
  expected.now_s = rig_.clock.NowMs() / 1000;
  EXPECT_TRUE(
      Succeeds(jose::VerifyDpopProof(proof->sign_dpop().proof(), expected)));

  sign.set_uri("https://api.test.evil/v1/things");
  EXPECT_TRUE(
      FailsWith(client_->Call(ask, seconds(5)), ErrorCode::kForeignAudience));
  sign.set_uri("https://api.test/v1/things");
  sign.set_grant(answer->grant() + "x");
  EXPECT_FALSE(client_->Call(ask, seconds(5)).has_value());
}

TEST_F(DaemonTest, RefusesTheGrantOfAnotherSession) {
  const auto answer = rig_.Authorize(*client_, session_);
  ASSERT_TRUE(Succeeds(answer));
  const auto other = rig_.OpenSession(*client_);
  ASSERT_TRUE(Succeeds(other));
  v1::Request ask;
  ask.mutable_sign_dpop()->set_session_id(*other);
  ask.mutable_sign_dpop()->set_method("GET");
  ask.mutable_sign_dpop()->set_uri("https://api.test/");
  ask.mutable_sign_dpop()->set_grant(answer->grant());
  EXPECT_TRUE(
      FailsWith(client_->Call(ask, seconds(5)), ErrorCode::kNotSessionOwner));
}

TEST_F(DaemonTest, ClosingASessionIsItsLastAction) {
  ASSERT_TRUE(Succeeds(rig_.Authorize(*client_, session_)));
  v1::Request close;
  close.mutable_close_session()->set_session_id(session_);
  ASSERT_TRUE(Succeeds(client_->Call(close, seconds(5))));
  EXPECT_TRUE(
      FailsWith(rig_.Authorize(*client_, session_), ErrorCode::kSessionEnded));
  ASSERT_TRUE(Eventually([&] {
    return rig_.service.session_ends() ==
           std::vector<std::string>{"client_closed"};
  }));
  EXPECT_EQ(rig_.service.actions().back().sequence(), 1u);
}

TEST_F(DaemonTest, ListsAndWatchesSessionsOfItsUser) {
  Client watcher = rig_.Connect();
  v1::Request watch;
  watch.mutable_watch();
  ASSERT_TRUE(Succeeds(watcher.Send(watch, seconds(5))));
  v1::Request list;
  list.mutable_list_sessions();
  const auto listed = watcher.Call(list, seconds(5));
  ASSERT_TRUE(Succeeds(listed));
  ASSERT_EQ(listed->list_sessions().sessions_size(), 1);
  EXPECT_EQ(listed->list_sessions().sessions(0).state(), "open");
  EXPECT_GT(listed->list_sessions().sessions(0).lease_left_s(), 100u);
  ASSERT_TRUE(Succeeds(rig_.Authorize(*client_, session_)));
  const auto event = watcher.Receive(seconds(5));
  ASSERT_TRUE(Succeeds(event));
  EXPECT_EQ(event->event().kind(), "decision");
  EXPECT_EQ(event->event().decision().decision(), "permit");
  EXPECT_TRUE(event->event().decision().grant().empty());
}

TEST_F(DaemonTest, EndsASessionAtOnceWhenTheServiceDoes) {
  rig_.service.PushEvents();
  Client client = rig_.Connect();
  const std::string first = *rig_.OpenSession(client);
  const std::string second = *rig_.OpenSession(client);
  rig_.service.EndSession(first, "user_revoked");
  EXPECT_TRUE(Eventually([&] { return rig_.Status().sessions() == 2; }));
  // It goes on asking.
  rig_.service.EndSession(second, "user_revoked");
  EXPECT_TRUE(Eventually([&] { return rig_.Status().sessions() == 1; }));
  const auto denied = rig_.Authorize(client, first);
  ASSERT_FALSE(denied.has_value());
  EXPECT_EQ(denied.error().code, ErrorCode::kSessionEnded);
}

TEST_F(DaemonTest, EndsAllSessionsWhenTheDeviceIsRevoked) {
  rig_.service.PushEvents();
  Client client = rig_.Connect();
  const std::string session = *rig_.OpenSession(client);
  rig_.service.RevokeDevice();
  EXPECT_TRUE(Eventually([&] { return rig_.Status().sessions() == 0; }));
  EXPECT_EQ(rig_.Status().device_error().reason(), "device_revoked");
}

TEST_F(DaemonTest, AsksForEventsAgainAfterAFailure) {
  rig_.service.PushEvents();
  rig_.service.Set(TestService::Mode::kUnreachable, "/v1/events", 1);
  Client client = rig_.Connect();
  const std::string session = *rig_.OpenSession(client);
  EXPECT_TRUE(
      Eventually([&] { return rig_.service.requests("/v1/events") == 2; }));
  rig_.service.EndSession(session, "user_revoked");
  EXPECT_TRUE(Eventually([&] { return rig_.Status().sessions() == 1; }));
}

TEST_F(DaemonTest, StopsAskingForEventsWithARefusedToken) {
  rig_.service.PushEvents();
  rig_.service.SetRefusal(ErrorCode::kNonceUnknown, 0);
  rig_.service.Set(TestService::Mode::kRefuse, "/v1/events", 1);
  Client client = rig_.Connect();
  const std::string first = *rig_.OpenSession(client);
  EXPECT_TRUE(
      Eventually([&] { return rig_.service.requests("/v1/events") == 1; }));
  // The next session brings a token that holds.
  const std::string second = *rig_.OpenSession(client);
  EXPECT_TRUE(
      Eventually([&] { return rig_.service.requests("/v1/events") == 2; }));
  rig_.service.EndSession(second, "user_revoked");
  EXPECT_TRUE(Eventually([&] { return rig_.Status().sessions() == 2; }));
}

TEST_F(DaemonTest, AsksForNoEventsWithoutSessions) {
  rig_.service.PushEvents();
  Client client = rig_.Connect();
  const std::string session = *rig_.OpenSession(client);
  EXPECT_TRUE(
      Eventually([&] { return rig_.service.requests("/v1/events") == 1; }));
  for (const std::string& id : {session, session_}) {
    v1::Request close;
    close.mutable_close_session()->set_session_id(id);
    ASSERT_TRUE(rig_.Call(close).has_value());
  }
  rig_.service.Release();
  // Whatever else the daemon does, it has seen the answer by then.
  const std::string next = *rig_.OpenSession(client);
  EXPECT_TRUE(
      Eventually([&] { return rig_.service.requests("/v1/events") == 2; }));
}

TEST_F(DaemonTest, KeepsASessionKeyInTheTpmWhereAsked) {
  AgentConfig config = rig_.config;
  config.session.tpm_key = true;
  rig_.Reconfigure(config);
  const auto session = rig_.OpenSession(*client_);
  ASSERT_TRUE(Succeeds(session));
  EXPECT_EQ(rig_.service.last_binding().key_kind(), "tpm");
  EXPECT_EQ(rig_.service.last_binding().pop_key_name().size(), 34u);
  v1::Request ask;
  ask.mutable_sign_dpop()->set_session_id(*session);
  ask.mutable_sign_dpop()->set_method("GET");
  ask.mutable_sign_dpop()->set_uri("https://api.test/");
  EXPECT_TRUE(Succeeds(client_->Call(ask, seconds(5))));
}

TEST_F(DaemonTest, ReservedSessionWaitsForItsOwner) {
  v1::Request reserve = OpenSessionAsk();
  reserve.mutable_open_session()->set_reserve(true);
  const auto reserved = client_->Call(reserve, seconds(5));
  ASSERT_TRUE(Succeeds(reserved));
  const std::string id = reserved->open_session().session().session_id();
  EXPECT_EQ(reserved->open_session().session().state(), "reserved");
  EXPECT_EQ(rig_.service.sessions(), 1u);  // Nothing was bound for it.

  // Its first action waits, until the session ends without an owner.
  Client child = rig_.Connect();
  ASSERT_TRUE(Succeeds(child.Send(AuthorizeAsk(id), seconds(5))));
  v1::Request close;
  close.mutable_close_session()->set_session_id(id);
  ASSERT_TRUE(Succeeds(client_->Call(close, seconds(5))));
  const auto waited = child.Receive(seconds(5));
  ASSERT_TRUE(Succeeds(waited));
  EXPECT_EQ(waited->error().reason(), "session_ended");
}

TEST_F(DaemonTest, SecondPhaseNeedsTheCallersChild) {
  v1::Request reserve = OpenSessionAsk();
  reserve.mutable_open_session()->set_reserve(true);
  const auto reserved = client_->Call(reserve, seconds(5));
  ASSERT_TRUE(Succeeds(reserved));
  v1::Request bind;
  bind.mutable_open_session()->set_session_id(
      reserved->open_session().session().session_id());
  EXPECT_TRUE(
      FailsWith(client_->Call(bind, seconds(5)), ErrorCode::kBadRequest));
}

// A49: looking at processes costs time, and who has nothing reserved gets none.
TEST_F(DaemonTest, SecondPhaseLooksForTheReservationFirst) {
  v1::Request bind;
  bind.mutable_open_session()->set_session_id(std::string(16, 'x'));
  // The caller's parent, which it could hand over in no second phase.
  const platform::OwnedHandle parent(
      static_cast<platform::Handle>(::syscall(SYS_pidfd_open, ::getppid(), 0)));
  EXPECT_TRUE(FailsWith(client_->Call(bind, seconds(5), parent.get()),
                        ErrorCode::kSessionUnknown));
}

TEST_F(DaemonTest, StatusTellsWhatIs) {
  ASSERT_TRUE(Succeeds(rig_.Authorize(*client_, session_)));
  const v1::StatusResponse status = rig_.Status();
  EXPECT_TRUE(status.enrolled());
  EXPECT_EQ(status.service(), TestService::kIssuer);
  EXPECT_TRUE(status.uplink_connected());
  EXPECT_FALSE(status.has_tpm_error());
  EXPECT_FALSE(status.has_service_error());
  EXPECT_GT(status.last_answer_ms(), 0);
  EXPECT_EQ(status.sessions(), 1u);
  EXPECT_EQ(status.actions(), 1u);
  EXPECT_TRUE(
      Eventually([&] { return rig_.Status().undelivered_batches() == 0; }));
}

TEST_F(DaemonTest, DoctorChecksEverything) {
  v1::Request ask;
  ask.mutable_doctor();
  const auto report = client_->Call(ask, seconds(20));
  ASSERT_TRUE(Succeeds(report));
  std::map<std::string, bool> checks;
  for (const v1::DoctorCheck& check : report->doctor().checks()) {
    checks[check.name()] = check.ok();
    EXPECT_TRUE(check.ok() || !check.hint().empty()) << check.name();
  }
  for (const char* name :
       {"config", "tpm", "event-log", "enrollment", "uplink", "service",
        "clock", "sessions", "backlog", "disk", "relays", "sockets"}) {
    EXPECT_TRUE(checks.contains(name) && checks[name]) << name;
  }
  EXPECT_FALSE(checks["endorsement-keys"]);  // The FakeTpm has no certificate.
}

TEST_F(DaemonTest, StatusTellsWhatTheDoctorFoundOfTheTpm) {
  v1::Request ask;
  ask.mutable_doctor();
  rig_.tpm.FailNext(ErrorCode::kTpmUnavailable, 2);
  ASSERT_TRUE(Succeeds(client_->Call(ask, seconds(20))));
  EXPECT_EQ(rig_.Status().tpm_error().reason(), "tpm_unavailable");
  ASSERT_TRUE(Succeeds(client_->Call(ask, seconds(20))));
  EXPECT_FALSE(rig_.Status().has_tpm_error());
}

// A49: any user may ask the doctor, as often as they like.
TEST_F(DaemonTest, DoctorSparesATpmAndAServiceThatWereJustWell) {
  v1::Request ask;
  ask.mutable_doctor();
  const auto first = client_->Call(ask, seconds(20));
  ASSERT_TRUE(Succeeds(first));
  const int asked = rig_.service.requests("/v1/challenges");
  rig_.tpm.Hold();  // Whoever asks it would wait.
  const auto again = client_->Call(ask, seconds(20));
  rig_.tpm.Release();
  ASSERT_TRUE(Succeeds(again));
  EXPECT_EQ(again->doctor().SerializeAsString(),
            first->doctor().SerializeAsString());
  EXPECT_EQ(rig_.service.requests("/v1/challenges"), asked);

  rig_.clock.monotonic_ms += Doctor::kBelievedForMs;
  rig_.service.Set(TestService::Mode::kUnreachable, "");
  const auto service_is_well = [&] {
    const auto report = client_->Call(ask, seconds(20));
    return std::ranges::any_of(report->doctor().checks(),
                               [](const v1::DoctorCheck& check) {
                                 return check.name() == "service" && check.ok();
                               });
  };
  EXPECT_FALSE(service_is_well());
  rig_.service.Set(TestService::Mode::kAnswer, "");
  EXPECT_TRUE(service_is_well());
}

// A39
TEST_F(DaemonTest, WorksWithAClockThatIsTenMinutesOff) {
  for (const int64_t off_s : {600, -600}) {
    rig_.service.set_clock_ahead_s(off_s);
    const auto session = rig_.OpenSession(*client_);
    ASSERT_TRUE(Succeeds(session));
    const auto answer = rig_.Authorize(*client_, *session);
    ASSERT_TRUE(Succeeds(answer));
    v1::Request ask;
    ask.mutable_sign_dpop()->set_session_id(*session);
    ask.mutable_sign_dpop()->set_method("GET");
    ask.mutable_sign_dpop()->set_uri("https://api.test/");
    ask.mutable_sign_dpop()->set_grant(answer->grant());
    const auto proof = client_->Call(ask, seconds(5));
    ASSERT_TRUE(Succeeds(proof));
    // Proofs are dated by the service's clock.
    jose::ExpectedDpop expected;
    expected.method = "GET";
    expected.uri = "https://api.test/";
    expected.access_token = answer->grant();
    expected.jkt = rig_.service.last_binding().pop_jkt();
    expected.now_s = rig_.clock.NowMs() / 1000 + off_s;
    EXPECT_TRUE(
        Succeeds(jose::VerifyDpopProof(proof->sign_dpop().proof(), expected)));
  }
}

// F23
TEST_F(DaemonTest, SurvivesAWallClockThatJumpsByAYear) {
  for (const int64_t jump : {365ll, -365ll}) {
    rig_.clock.wall_ms = jump * 24 * 3600 * 1000;
    EXPECT_TRUE(Succeeds(rig_.Authorize(*client_, session_)));
  }
}

TEST_F(DaemonTest, ReadsItsConfigurationAgainAndKeepsTheLastGoodOne) {
  AgentConfig config = rig_.config;
  config.limits.outstanding_total = 1;
  rig_.Reconfigure(config);
  // F29
  rig_.Reconfigure(Fail(ErrorCode::kConfigInvalid, "agent.json:3: wrong"));
  v1::Request ask;
  ask.mutable_doctor();
  const auto report = client_->Call(ask, seconds(20));
  ASSERT_TRUE(Succeeds(report));
  EXPECT_EQ(report->doctor().checks(0).name(), "config");
  EXPECT_FALSE(report->doctor().checks(0).ok());
  EXPECT_EQ(report->doctor().checks(0).detail(), "agent.json:3: wrong");
  // The limit of the good one still holds.
  rig_.tpm.Hold();
  ASSERT_TRUE(Succeeds(client_->Send(AuthorizeAsk(session_), seconds(5))));
  EXPECT_TRUE(FailsWith(client_->Call(AuthorizeAsk(session_), seconds(5)),
                        ErrorCode::kBusy));
  rig_.tpm.Release();
}

// F37
TEST_F(DaemonTest, DrainsWhatIsUnderWay) {
  rig_.tpm.set_quote_delay(std::chrono::milliseconds(200));
  ASSERT_TRUE(Succeeds(client_->Send(AuthorizeAsk(session_), seconds(5))));
  ASSERT_TRUE(
      Eventually([&] { return rig_.Status().undelivered_batches() == 1; }));
  rig_.Drain(seconds(20));
  const auto answer = client_->Receive(seconds(1));
  ASSERT_TRUE(Succeeds(answer));
  EXPECT_EQ(answer->authorize().decision(), "permit");
  EXPECT_TRUE(FailsWith(Client::Connect(rig_.config.socket, seconds(1)),
                        ErrorCode::kDaemonNotRunning));
}

// F37
TEST_F(DaemonTest, DrainEndsInTimeWhateverHangs) {
  rig_.tpm.Hold();
  ASSERT_TRUE(Succeeds(client_->Send(AuthorizeAsk(session_), seconds(5))));
  ASSERT_TRUE(
      Eventually([&] { return rig_.Status().undelivered_batches() == 1; }));
  const auto before = std::chrono::steady_clock::now();
  rig_.Drain(std::chrono::milliseconds(300));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(5));
  rig_.tpm.Release();
}

}  // namespace
}  // namespace countersign::agent
