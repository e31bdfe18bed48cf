// What breaks around the daemon, and that nothing is lost, granted or left
// unexplained when it does.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/agent/daemon/daemon_rig.h"
#include "tests/fails_with.h"
#include "tests/fork_may_hang.h"

namespace countersign::agent {
namespace {

using Mode = TestService::Mode;
using std::chrono::milliseconds;
using std::chrono::seconds;

class FaultsTest : public testing::Test {
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

  Result<v1::AuthorizeResponse> Authorize() {
    return rig_.Authorize(*client_, session_);
  }
  Result<v1::Response> SignDpop() {
    v1::Request ask;
    ask.mutable_sign_dpop()->set_session_id(session_);
    ask.mutable_sign_dpop()->set_method("POST");
    ask.mutable_sign_dpop()->set_uri("https://authz.test/oauth/token");
    return client_->Call(std::move(ask), seconds(20));
  }
  // The cause has ended: new actions are granted again.
  bool Heals() {
    return Eventually([this] {
      const auto answer = Authorize();
      return answer.has_value() && answer->decision() == "permit";
    });
  }
  void CloseSession() {
    v1::Request request;
    request.mutable_close_session()->set_session_id(session_);
    ASSERT_TRUE(Succeeds(client_->Call(std::move(request), seconds(5))));
  }
  // Every number from 0 on, once, in one journal.
  void ExpectOneUnbrokenJournal() {
    const auto batches = rig_.service.accepted();
    uint64_t next = 0;
    for (const auto& batch : batches) {
      EXPECT_EQ(batch.journal_id, batches.front().journal_id);
      for (const v1::Action& action : batch.actions) {
        EXPECT_EQ(action.sequence(), next++);
      }
    }
  }
  size_t LateBatches() const {
    const auto batches = rig_.service.accepted();
    return static_cast<size_t>(std::ranges::count_if(
        batches, [](const auto& batch) { return batch.late; }));
  }

  DaemonRig rig_;
  std::optional<Client> client_;
  std::string session_;
};

// F11, F13
TEST_F(FaultsTest, TpmThatFailsOnceCostsOneActionWhichIsRecordedLate) {
  rig_.tpm.FailNext(ErrorCode::kTpmTimeout);
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kTpmTimeout));
  EXPECT_EQ(rig_.Status().tpm_error().reason(), "tpm_timeout");
  EXPECT_TRUE(Heals());
  EXPECT_FALSE(rig_.Status().has_tpm_error());
  EXPECT_EQ(LateBatches(), 1u);
  ExpectOneUnbrokenJournal();
}

// F11
TEST_F(FaultsTest, RequestsQueueWhileTheTpmHangsAndOthersAreServed) {
  const size_t quota = rig_.config.limits.outstanding_per_peer;
  rig_.tpm.Hold();
  for (size_t i = 0; i < quota + 20; ++i) {
    ASSERT_TRUE(Succeeds(client_->Send(AuthorizeAsk(session_), seconds(5))));
  }
  // The queue is bounded, and who is over the bound is told so at once.
  for (int i = 0; i < 20; ++i) {
    const auto answer = client_->Receive(seconds(10));
    ASSERT_TRUE(Succeeds(answer));
    EXPECT_EQ(answer->error().reason(), "busy");
  }
#ifndef COUNTERSIGN_FORK_MAY_HANG
  // Another process, with a quota of its own, is served meanwhile.
  const pid_t other = ::fork();
  if (other == 0) {
    auto client = Client::Connect(rig_.config.socket, seconds(5));
    v1::Request status;
    status.mutable_status();
    const bool served =
        client.has_value() && client->Call(status, seconds(5)).has_value();
    ::_exit(served ? 0 : 1);
  }
  int code = -1;
  ASSERT_EQ(::waitpid(other, &code, 0), other);
  EXPECT_EQ(code, 0);
#endif
  rig_.tpm.Release();
  for (size_t i = 0; i < quota; ++i) {
    const auto answer = client_->Receive(seconds(10));
    ASSERT_TRUE(Succeeds(answer));
    EXPECT_EQ(answer->authorize().decision(), "permit");
  }
}

// F12, F15
TEST_F(FaultsTest, TpmResetEndsSessionsAndANewOneWorks) {
  rig_.tpm.Reset();
  const auto answer = Authorize();
  EXPECT_TRUE(Eventually([&] { return rig_.Status().sessions() == 0; }));
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kStaleBoot));
  const auto session = rig_.OpenSession(*client_);
  ASSERT_TRUE(Succeeds(session));
  session_ = *session;
  EXPECT_TRUE(Heals());
}

// F21
TEST_F(FaultsTest, UplinkThatIsAwayIsNamedAtOnceAndNothingNewIsNumbered) {
  rig_.uplink->Stop();
  ASSERT_TRUE(Eventually([&] { return !rig_.Status().uplink_connected(); }));
  // The first was quoted before anyone could know.
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kUplinkDown));
  const uint64_t numbered = rig_.Status().actions();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kUplinkDown));
  }
  EXPECT_EQ(rig_.Status().actions(), numbered);
  EXPECT_EQ(rig_.Status().undelivered_batches(), 1u);
  EXPECT_EQ(rig_.Status().service_error().reason(), "uplink_down");
  rig_.uplink->Start();
  EXPECT_TRUE(Heals());
  EXPECT_EQ(LateBatches(), 1u);
  ExpectOneUnbrokenJournal();
}

class BadAnswersTest : public FaultsTest,
                       public testing::WithParamInterface<Mode> {};

// F21: whatever the uplink brings, only the service's own word counts.
TEST_P(BadAnswersTest, NothingIsGrantedAndTheActionIsRecordedLate) {
  rig_.service.Set(GetParam(), "/v1/actions");
  const auto answer = Authorize();
  EXPECT_TRUE(FailsWith(answer, GetParam() == Mode::kUnreachable ||
                                        GetParam() == Mode::kLoseAnswer
                                    ? ErrorCode::kServiceUnreachable
                                    : ErrorCode::kAnswerInvalid));
  rig_.service.Set(Mode::kAnswer, "");
  EXPECT_TRUE(Heals());
  ExpectOneUnbrokenJournal();
}

std::string ModeName(const testing::TestParamInfo<Mode>& mode) {
  switch (mode.param) {
    case Mode::kUnreachable:
      return "Unreachable";
    case Mode::kLoseAnswer:
      return "LostAnswer";
    case Mode::kHtml:
      return "Html";
    case Mode::kGarbage:
      return "Garbage";
    case Mode::kForged:
      return "Forged";
    default:
      return "Replayed";
  }
}

INSTANTIATE_TEST_SUITE_P(Uplink, BadAnswersTest,
                         testing::Values(Mode::kUnreachable, Mode::kLoseAnswer,
                                         Mode::kHtml, Mode::kGarbage,
                                         Mode::kForged, Mode::kReplayed),
                         ModeName);

// F22
TEST_F(FaultsTest, WaitsAsLongAsTheServiceAsks) {
  rig_.service.SetRefusal(ErrorCode::kRateLimited, 2);
  rig_.service.Set(Mode::kRefuse, "/v1/actions", 1);
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kRateLimited));
  const int before = rig_.service.requests("/v1/actions");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kRateLimited));
  EXPECT_EQ(rig_.service.requests("/v1/actions"), before);
  EXPECT_TRUE(Eventually(
      [&] { return rig_.service.requests("/v1/actions") > before; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(1900));
  EXPECT_TRUE(Heals());
  ExpectOneUnbrokenJournal();
}

TEST_F(FaultsTest, EpochThatRanOutOnTheWayMakesTheBatchLate) {
  rig_.service.SetRefusal(ErrorCode::kEpochExpired, 0);
  rig_.service.Set(Mode::kRefuse, "/v1/actions", 1);
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kEpochExpired));
  EXPECT_TRUE(Heals());
  EXPECT_EQ(LateBatches(), 1u);
  ExpectOneUnbrokenJournal();
}

TEST_F(FaultsTest, ServiceThatLostABatchGetsANewJournalAndNotAStandstill) {
  ASSERT_TRUE(Succeeds(Authorize()));
  ASSERT_TRUE(Succeeds(Authorize()));
  rig_.service.ForgetBatches(1);
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kSequenceConflict));
  EXPECT_TRUE(Heals());
  const auto batches = rig_.service.accepted();
  EXPECT_NE(batches.front().journal_id, batches.back().journal_id);
  EXPECT_EQ(batches.back().batch.batch_sequence(), 0u);
}

TEST_F(FaultsTest, RevokedDeviceIsToldSoAndDoesNotLoop) {
  rig_.service.RevokeDevice();
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kDeviceRevoked));
  const v1::StatusResponse status = rig_.Status();
  EXPECT_EQ(status.device_error().reason(), "device_revoked");
  EXPECT_EQ(status.sessions(), 0u);
  EXPECT_EQ(status.undelivered_batches(), 0u);
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kSessionEnded));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_LE(rig_.service.requests("/v1/actions"), 2);
}

// The end of a session is owed to the service even if it takes nothing.
TEST_F(FaultsTest, RevokedDeviceWithASessionToEndDoesNotLoop) {
  rig_.service.RevokeDevice();
  CloseSession();
  EXPECT_TRUE(Eventually([&] { return rig_.Status().has_device_error(); }));
  const int quotes = rig_.tpm.quotes();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(rig_.tpm.quotes(), quotes);
  EXPECT_LE(rig_.service.requests("/v1/actions"), 2);
}

TEST_F(FaultsTest, LastingRefusalIsMetLessAndLessOften) {
  rig_.service.SetRefusal(ErrorCode::kWrongTenant, 0);
  rig_.service.Set(Mode::kRefuse, "/v1/actions");
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kWrongTenant));
  CloseSession();
  std::this_thread::sleep_for(milliseconds(1500));
  // At once, with a new journal, and after a second.
  EXPECT_LE(rig_.service.requests("/v1/actions"), 4);
  rig_.service.Set(Mode::kAnswer, "");
  EXPECT_TRUE(Eventually([&] {
    return rig_.service.session_ends() ==
           std::vector<std::string>{"client_closed"};
  }));
}

// Each try costs a journal here and a finding there: users who go on asking do
// not bring it about, nor does an uplink that comes back.
TEST_F(FaultsTest, LastingRefusalIsNotHastenedByAsking) {
  rig_.service.SetRefusal(ErrorCode::kWrongTenant, 0);
  rig_.service.Set(Mode::kRefuse, "/v1/actions");
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kWrongTenant));
    std::this_thread::sleep_for(milliseconds(300));
    if (i == 5) {
      rig_.uplink->Stop();
      rig_.uplink->Start();
      ASSERT_TRUE(Eventually([&] { return rig_.Status().uplink_connected(); }));
    }
  }
  // At once, with a new journal, after half a second, after one more.
  EXPECT_LE(rig_.service.requests("/v1/actions"), 4);
  rig_.service.Set(Mode::kAnswer, "");
  EXPECT_TRUE(Heals());
}

TEST_F(FaultsTest, LastingRefusalEndsWithANewEnrollment) {
  rig_.service.SetRefusal(ErrorCode::kWrongTenant, 0);
  rig_.service.Set(Mode::kRefuse, "/v1/actions");
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kWrongTenant));
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kWrongTenant));
  rig_.service.Set(Mode::kAnswer, "");
  // Asked now, it would be refused without a word to the service.
  const int before = rig_.service.requests("/v1/actions");
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kWrongTenant));
  EXPECT_EQ(rig_.service.requests("/v1/actions"), before);
  ASSERT_TRUE(Succeeds(rig_.Enroll()));
  const auto session = rig_.OpenSession(*client_);
  ASSERT_TRUE(Succeeds(session));
  session_ = *session;
  const auto answer = Authorize();
  ASSERT_TRUE(Succeeds(answer));
  EXPECT_EQ(answer->decision(), "permit");
}

// F04
TEST_F(FaultsTest, FullDiskStopsSigningAndLosesNothing) {
  ASSERT_TRUE(Succeeds(Authorize()));
  rig_.store->failing = true;
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kDiskFull));
  EXPECT_FALSE(rig_.OpenSession(*client_).has_value());
  rig_.store->failing = false;
  EXPECT_TRUE(Heals());
  // The number that was not journalled was used again.
  ExpectOneUnbrokenJournal();
  EXPECT_EQ(rig_.service.actions().back().sequence() + 1,
            rig_.service.actions().size());
}

// F01
TEST_F(FaultsTest, RestartEndsItsSessionsAndGoesOnWithItsNumbers) {
  ASSERT_TRUE(Succeeds(Authorize()));
  client_.reset();
  rig_.Restart();
  client_.emplace(rig_.Connect());
  EXPECT_TRUE(Eventually([&] {
    return rig_.service.session_ends() ==
           std::vector<std::string>{"daemon_restarted"};
  }));
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kSessionUnknown));
  const auto session = rig_.OpenSession(*client_);
  ASSERT_TRUE(Succeeds(session));
  session_ = *session;
  EXPECT_TRUE(Heals());
  ExpectOneUnbrokenJournal();
}

// F01
TEST_F(FaultsTest, BatchThatWasNotDeliveredSurvivesARestart) {
  rig_.service.Set(Mode::kUnreachable, "/v1/actions");
  EXPECT_FALSE(Authorize().has_value());
  client_.reset();
  rig_.StopDaemon();
  rig_.service.Set(Mode::kAnswer, "");
  rig_.StartDaemon();
  EXPECT_TRUE(Eventually([&] {
    return rig_.service.actions().size() == 2;  // The action, the session end.
  }));
  EXPECT_TRUE(rig_.service.accepted().front().late);
  ExpectOneUnbrokenJournal();
}

// F26
TEST_F(FaultsTest, DamagedJournalBeginsANewOne) {
  rig_.service.Set(Mode::kUnreachable, "/v1/actions");
  EXPECT_FALSE(Authorize().has_value());
  client_.reset();
  rig_.StopDaemon();
  {
    const auto store = platform::StateStore::Open(rig_.config.state_dir);
    ASSERT_TRUE(Succeeds(store));
    const auto batches = (*store)->Scan("batch/", "", 10);
    ASSERT_EQ(batches->size(), 1u);
    const platform::StateStore::Write write{batches->front().key,
                                            Bytes{1, 2, 3}};
    ASSERT_TRUE(Succeeds((*store)->Commit({&write, 1})));
  }
  rig_.service.Set(Mode::kAnswer, "");
  rig_.StartDaemon();
  client_.emplace(rig_.Connect());
  ASSERT_TRUE(Eventually([&] {
    const auto session = rig_.OpenSession(*client_);
    if (session.has_value()) session_ = *session;
    return session.has_value();
  }));
  EXPECT_TRUE(Heals());
  EXPECT_NE(rig_.reported().find("began a new journal"), std::string::npos);
}

TEST_F(FaultsTest, StaleLeaseIsRenewedBeforeTheActionIsQuoted) {
  rig_.clock.monotonic_ms += 121'000;
  const int before = rig_.service.requests("/v1/challenges");
  EXPECT_TRUE(Succeeds(Authorize()));
  EXPECT_EQ(rig_.service.requests("/v1/challenges"), before + 1);
}

TEST_F(FaultsTest, StaleLeaseWithoutTheServiceStopsTheSession) {
  rig_.clock.monotonic_ms += 121'000;
  rig_.service.Set(Mode::kUnreachable, "/v1/challenges");
  const int quotes = rig_.tpm.quotes();
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kServiceUnreachable));
  EXPECT_EQ(rig_.tpm.quotes(), quotes);
  EXPECT_EQ(rig_.Status().actions(), 0u);
  rig_.service.Set(Mode::kAnswer, "");
  EXPECT_TRUE(Heals());
}

// A proof is a use of the session, too: an uplink that withholds revocations
// must not keep its key at work.
TEST_F(FaultsTest, StaleLeaseIsRenewedBeforeADpopProofIsSigned) {
  rig_.clock.monotonic_ms += 121'000;
  const int before = rig_.service.requests("/v1/challenges");
  EXPECT_TRUE(Succeeds(SignDpop()));
  EXPECT_EQ(rig_.service.requests("/v1/challenges"), before + 1);
  EXPECT_TRUE(Succeeds(SignDpop()));
  EXPECT_EQ(rig_.service.requests("/v1/challenges"), before + 1);
  EXPECT_EQ(rig_.Status().actions(), 0u);  // It is no action.
}

TEST_F(FaultsTest, StaleLeaseWithoutTheServiceStopsDpopProofs) {
  rig_.service.Set(Mode::kUnreachable, "");
  EXPECT_TRUE(Succeeds(SignDpop()));  // Fresh: nobody is asked.
  rig_.clock.monotonic_ms += 121'000;
  EXPECT_TRUE(FailsWith(SignDpop(), ErrorCode::kServiceUnreachable));
  rig_.service.Set(Mode::kAnswer, "");
  EXPECT_TRUE(Heals());
  EXPECT_TRUE(Succeeds(SignDpop()));
}

TEST_F(FaultsTest, NoDpopProofForASessionThatTheServiceEnded) {
  rig_.service.EndSession(session_, "user_revoked");
  EXPECT_TRUE(Succeeds(SignDpop()));  // The lease is what it is promised.
  rig_.clock.monotonic_ms += 121'000;
  EXPECT_TRUE(FailsWith(SignDpop(), ErrorCode::kSessionEnded));
}

TEST_F(FaultsTest, OldEpochNonceIsRenewedBeforeItIsQuoted) {
  rig_.service.set_lease_s(120);
  rig_.clock.monotonic_ms += 241'000;
  const int before = rig_.service.requests("/v1/challenges");
  EXPECT_TRUE(Succeeds(Authorize()));
  // One request renews both.
  EXPECT_EQ(rig_.service.requests("/v1/challenges"), before + 1);
}

TEST_F(FaultsTest, SessionThatTheServiceEndedIsOverHere) {
  rig_.service.EndSession(session_, "user_revoked");
  rig_.clock.monotonic_ms += 121'000;
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kSessionEnded));
  EXPECT_EQ(rig_.Status().sessions(), 0u);
  EXPECT_TRUE(rig_.service.session_ends().empty());
}

TEST_F(FaultsTest, ExpiredSessionIsRefusedAndItsEndTold) {
  rig_.clock.monotonic_ms += int64_t{9} * 3600 * 1000;
  EXPECT_TRUE(FailsWith(Authorize(), ErrorCode::kSessionExpired));
  EXPECT_TRUE(Eventually([&] {
    return rig_.service.session_ends() == std::vector<std::string>{"expired"};
  }));
}

TEST_F(FaultsTest, SessionOpeningRetriesOnceWhenItsChallengeIsGone) {
  rig_.service.SetRefusal(ErrorCode::kNonceExpired, 0);
  rig_.service.Set(Mode::kRefuse, "/v1/sessions", 1);
  EXPECT_TRUE(Succeeds(rig_.OpenSession(*client_)));
  rig_.service.Set(Mode::kRefuse, "/v1/sessions", 2);
  EXPECT_TRUE(FailsWith(rig_.OpenSession(*client_), ErrorCode::kNonceExpired));
}

TEST_F(FaultsTest, SessionThatCannotBeOpenedIsNotLeftBehind) {
  for (const Mode mode : {Mode::kUnreachable, Mode::kForged, Mode::kGarbage}) {
    rig_.service.Set(mode, "/v1/sessions");
    EXPECT_FALSE(rig_.OpenSession(*client_).has_value());
    rig_.service.Set(Mode::kAnswer, "");
    EXPECT_EQ(rig_.Status().sessions(), 1u);
  }
}

// A lost answer: the service holds it for open, so its end is told.
TEST_F(FaultsTest, SessionWhoseAnswerWasLostIsEndedAtTheService) {
  rig_.service.Set(Mode::kLoseAnswer, "/v1/sessions");
  EXPECT_FALSE(rig_.OpenSession(*client_).has_value());
  rig_.service.Set(Mode::kAnswer, "");
  EXPECT_TRUE(Eventually([&] {
    return rig_.service.session_ends() ==
           std::vector<std::string>{"open_failed"};
  }));
}

TEST_F(FaultsTest, SessionsAndBatchesReachTheServiceInTheOrderOfTheirQuotes) {
  rig_.tpm.set_quote_delay(milliseconds(10));
  Client busy = rig_.Connect();
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(Succeeds(busy.Send(AuthorizeAsk(session_), seconds(5))));
    ASSERT_TRUE(Succeeds(client_->Send(OpenSessionAsk(), seconds(5))));
    std::this_thread::sleep_for(milliseconds(3));
  }
  for (int i = 0; i < 60; ++i) {
    const auto action = busy.Receive(seconds(20));
    ASSERT_TRUE(Succeeds(action));
    EXPECT_EQ(action->authorize().decision(), "permit");
    const auto session = client_->Receive(seconds(20));
    ASSERT_TRUE(Succeeds(session));
    EXPECT_TRUE(session->has_open_session());
  }
}

// A49
TEST_F(FaultsTest, FloodOfOnePeerIsRefusedAndAnsweredToTheLast) {
  rig_.tpm.Hold();
  constexpr int kFlood = 400;  // The quota is 256.
  for (int i = 0; i < kFlood; ++i) {
    ASSERT_TRUE(Succeeds(client_->Send(AuthorizeAsk(session_), seconds(5))));
  }
  int busy = 0;
  for (int i = 0; i < kFlood - 256; ++i) {
    const auto answer = client_->Receive(seconds(10));
    ASSERT_TRUE(Succeeds(answer));
    busy += answer->error().reason() == "busy" ? 1 : 0;
  }
  EXPECT_EQ(busy, kFlood - 256);
  rig_.tpm.Release();
  for (int i = 0; i < 256; ++i) {
    const auto answer = client_->Receive(seconds(10));
    ASSERT_TRUE(Succeeds(answer));
    EXPECT_EQ(answer->authorize().decision(), "permit");
  }
}

TEST_F(FaultsTest, IdleDaemonWritesNothing) {
  ASSERT_TRUE(Succeeds(Authorize()));
  ASSERT_TRUE(
      Eventually([&] { return rig_.Status().undelivered_batches() == 0; }));
  std::this_thread::sleep_for(milliseconds(100));
  const int before = rig_.store->commits;
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(rig_.store->commits, before);
}

}  // namespace
}  // namespace countersign::agent
