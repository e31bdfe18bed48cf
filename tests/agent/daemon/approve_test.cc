// Approvals by prompt: who may give one, and that it goes into one action.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/daemon/approvals.h"
#include "attest/statement/statement.h"
#include "tests/agent/daemon/daemon_rig.h"
#include "tests/fails_with.h"
#include "tests/fork_may_hang.h"

namespace countersign::agent {
namespace {

using std::chrono::seconds;

constexpr char kAction[] = "test:prompt";

// Seen from the process that owns the session.
enum class Where { kBelow, kFarBelow, kBelowAnotherUser, kOutside };

constexpr uid_t kAnotherUser = 12'345;

void LeaveSpeakingToAChild() {
  const pid_t child = ::fork();
  if (child == 0) return;
  ::waitpid(child, nullptr, 0);
  ::_exit(0);
}

// In a child of the owner: returns in a process that stands there.
void GoTo(Where where) {
  switch (where) {
    case Where::kBelow:
      return;
    case Where::kFarBelow:
      for (int i = 0; i < 100; ++i) LeaveSpeakingToAChild();
      return;
    case Where::kBelowAnotherUser:  // As below a sudo.
      if (::seteuid(kAnotherUser) != 0) ::_exit(1);
      LeaveSpeakingToAChild();
      if (::seteuid(0) != 0) ::_exit(1);
      return;
    case Where::kOutside:
      const pid_t parent = ::getpid();
      if (::fork() != 0) ::_exit(0);
      while (::getppid() == parent) ::usleep(1000);
      return;
  }
}

// Enrolled, with a session of this process.
class ApproveTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef COUNTERSIGN_FORK_MAY_HANG
    GTEST_SKIP() << "forks beside threads, which a sanitizer may not survive";
#endif
    ASSERT_TRUE(Succeeds(rig_.Enroll()));
    client_.emplace(rig_.Connect());
    const auto session = rig_.OpenSession(*client_);
    ASSERT_TRUE(Succeeds(session));
    session_ = *session;
  }
  void TearDown() override {
    EXPECT_EQ(rig_.service.complaints(), std::vector<std::string>());
  }

  // The digest of the request, once it was answered approval_required.
  std::string Ask(const std::string& name = kAction) {
    const auto answer = rig_.Authorize(*client_, session_, name);
    EXPECT_TRUE(Succeeds(answer));
    if (!answer.has_value()) return {};
    EXPECT_EQ(answer->decision(), "approval_required");
    EXPECT_EQ(answer->request_digest().size(), 32u);
    return answer->request_digest();
  }
  std::string DecisionOn(const std::string& name = kAction) {
    const auto answer = rig_.Authorize(*client_, session_, name);
    return answer.has_value() ? answer->decision()
                              : std::string(Name(answer.error().code));
  }
  v1::Request Word(const std::string& digest, bool approve = true) const {
    v1::Request request;
    request.mutable_approve()->set_session_id(session_);
    request.mutable_approve()->set_request_digest(digest);
    request.mutable_approve()->set_approve(approve);
    return request;
  }
  v1::ListSessionsResponse List() const {
    v1::Request request;
    request.mutable_list_sessions();
    const auto response = rig_.Call(request);
    EXPECT_TRUE(Succeeds(response));
    return response.has_value() ? response->list_sessions()
                                : v1::ListSessionsResponse();
  }

  // What another process of this user is answered.
  Result<v1::Response> CallFrom(Where where, const v1::Request& request) const {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      GoTo(where);
      v1::Response response;
      auto client = Client::Connect(rig_.config.socket, seconds(10));
      auto answer =
          client.has_value()
              ? client->Call(request, seconds(10))
              : Result<v1::Response>(tl::unexpected<Error>(client.error()));
      if (answer.has_value())
        response = *std::move(answer);
      else
        *response.mutable_error() = ToErrorInfo(answer.error());
      const std::string bytes = response.SerializeAsString();
      (void)!::write(ends[1], bytes.data(), bytes.size());
      ::_exit(0);
    }
    ::close(ends[1]);
    std::string bytes;
    char chunk[4096];
    for (ssize_t got; (got = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
      bytes.append(chunk, static_cast<size_t>(got));
    }
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    v1::Response response;
    if (bytes.empty() || !response.ParseFromString(bytes)) {
      return Fail(ErrorCode::kInternal, "the other process said nothing");
    }
    if (response.has_error()) {
      return tl::unexpected(FromErrorInfo(response.error()));
    }
    return response;
  }

  DaemonRig rig_;
  std::optional<Client> client_;
  std::string session_;
};

TEST_F(ApproveTest, PutsTheUsersWordIntoOneAction) {
  const std::string digest = Ask();
  const auto word = CallFrom(Where::kOutside, Word(digest));
  ASSERT_TRUE(Succeeds(word));
  EXPECT_EQ(word->approve().reference().size(), 32u);
  EXPECT_EQ(word->approve().decided().request().name(), kAction);

  const auto answer = rig_.Authorize(*client_, session_, kAction);
  ASSERT_TRUE(Succeeds(answer));
  EXPECT_EQ(answer->decision(), "permit");
  EXPECT_EQ(answer->approval_grade(), "prompt");
  EXPECT_EQ(answer->request_digest(), digest);
  const v1::Action action = rig_.service.actions().back();
  EXPECT_EQ(action.approval().request_digest(), digest);
  EXPECT_EQ(AsString(statement::StatementDigest(
                statement::StatementType::kActionRequest,
                AsBytes(action.action_request()))),
            digest);
  EXPECT_EQ(action.approval().grade(), "prompt");
  EXPECT_EQ(action.approval().approver(), "os:" + std::to_string(::getuid()));
  EXPECT_EQ(action.approval().reference(), word->approve().reference());

  EXPECT_EQ(Ask(), digest);  // Used up.
  EXPECT_FALSE(rig_.service.actions().back().has_approval());
}

TEST_F(ApproveTest, GoesIntoNoOtherRequest) {
  const std::string digest = Ask();
  ASSERT_TRUE(Succeeds(CallFrom(Where::kOutside, Word(digest))));
  EXPECT_NE(Ask("test:prompt:other"), digest);
  EXPECT_FALSE(rig_.service.actions().back().has_approval());
  EXPECT_EQ(DecisionOn(), "permit");
}

TEST_F(ApproveTest, RefusesTheWordOfWhoAsks) {
  const std::string digest = Ask();
  EXPECT_TRUE(FailsWith(client_->Call(Word(digest), seconds(5)),
                        ErrorCode::kApproverNotApart));
  EXPECT_TRUE(FailsWith(rig_.Call(Word(digest)), ErrorCode::kApproverNotApart));
  EXPECT_EQ(List().pending_size(), 1);
  Ask();
}

TEST_F(ApproveTest, RefusesTheWordOfADescendantOfWhoAsks) {
  const std::string digest = Ask();
  for (const Where where : {Where::kBelow, Where::kFarBelow}) {
    EXPECT_TRUE(
        FailsWith(CallFrom(where, Word(digest)), ErrorCode::kApproverNotApart));
    EXPECT_TRUE(FailsWith(CallFrom(where, Word(digest, false)),
                          ErrorCode::kApproverNotApart));
  }
  Ask();
}

TEST_F(ApproveTest, RefusesTheWordOfADescendantBelowAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  EXPECT_TRUE(FailsWith(CallFrom(Where::kBelowAnotherUser, Word(Ask())),
                        ErrorCode::kApproverNotApart));
  Ask();
}

TEST_F(ApproveTest, RefusesWhatNobodyAsked) {
  const std::string digest = Ask();
  const auto refuses = [this](const v1::Request& word, ErrorCode code) {
    EXPECT_TRUE(FailsWith(CallFrom(Where::kOutside, word), code));
  };
  refuses(Word(std::string(32, 'x')), ErrorCode::kNotFound);
  refuses(Word(""), ErrorCode::kNotFound);
  v1::Request elsewhere = Word(digest);
  elsewhere.mutable_approve()->set_session_id(std::string(16, 'x'));
  refuses(elsewhere, ErrorCode::kSessionUnknown);
  const auto other = rig_.OpenSession(*client_);
  ASSERT_TRUE(Succeeds(other));
  elsewhere.mutable_approve()->set_session_id(*other);
  refuses(elsewhere, ErrorCode::kNotFound);
  // And no second word on what was approved.
  ASSERT_TRUE(Succeeds(CallFrom(Where::kOutside, Word(digest))));
  refuses(Word(digest), ErrorCode::kNotFound);
  refuses(Word(digest, false), ErrorCode::kNotFound);
}

TEST_F(ApproveTest, TellsWhoWatches) {
  Client watcher = rig_.Connect();
  v1::Request watch;
  watch.mutable_watch();
  ASSERT_TRUE(Succeeds(watcher.Send(watch, seconds(5))));
  const auto next = [&watcher]() -> v1::WatchEvent {
    while (true) {
      const auto response = watcher.Receive(seconds(5));
      if (!response.has_value()) return {};
      if (response->event().kind() != "decision") return response->event();
    }
  };
  for (const bool approve : {false, true}) {
    const std::string digest = Ask();
    v1::WatchEvent event = next();
    EXPECT_EQ(event.kind(), "approval_asked");
    EXPECT_EQ(event.approval().request().resource(),
              "https://api.test/v1/things");
    ASSERT_TRUE(Succeeds(CallFrom(Where::kOutside, Word(digest, approve))));
    event = next();
    EXPECT_EQ(event.kind(), approve ? "approval_given" : "approval_refused");
    EXPECT_EQ(event.approval().session_id(), session_);
    EXPECT_EQ(event.approval().request_digest(), digest);
  }
}

TEST_F(ApproveTest, ANoLeavesNothingBehind) {
  const std::string digest = Ask();
  const auto word = CallFrom(Where::kOutside, Word(digest, false));
  ASSERT_TRUE(Succeeds(word));
  EXPECT_TRUE(word->approve().reference().empty());
  EXPECT_EQ(List().pending_size(), 0);
  Ask();
  EXPECT_FALSE(rig_.service.actions().back().has_approval());
}

TEST_F(ApproveTest, ListsWhatWaitsUntilItIsForgotten) {
  const std::string digest = Ask();
  const v1::ListSessionsResponse list = List();
  ASSERT_EQ(list.pending_size(), 1);
  EXPECT_EQ(list.pending(0).session_id(), session_);
  EXPECT_EQ(list.pending(0).request_digest(), digest);
  EXPECT_EQ(list.pending(0).request().purpose(), "test");
  EXPECT_GT(list.pending(0).left_s(), 100u);
  rig_.clock.monotonic_ms += Approvals::kRememberedMs;
  EXPECT_EQ(List().pending_size(), 0);
  EXPECT_TRUE(
      FailsWith(CallFrom(Where::kOutside, Word(digest)), ErrorCode::kNotFound));
}

TEST_F(ApproveTest, ForgetsAWordThatWasNotUsed) {
  ASSERT_TRUE(Succeeds(CallFrom(Where::kOutside, Word(Ask()))));
  rig_.clock.monotonic_ms += Approvals::kRememberedMs;
  Ask();
  EXPECT_FALSE(rig_.service.actions().back().has_approval());
}

TEST_F(ApproveTest, WaitsForNoGradeThatCannotBeGivenHere) {
  const std::string digest = Ask("test:webauthn");
  EXPECT_EQ(List().pending_size(), 0);
  EXPECT_TRUE(
      FailsWith(CallFrom(Where::kOutside, Word(digest)), ErrorCode::kNotFound));
}

TEST_F(ApproveTest, EndsWithItsSession) {
  const std::string digest = Ask();
  v1::Request close;
  close.mutable_close_session()->set_session_id(session_);
  ASSERT_TRUE(Succeeds(client_->Call(close, seconds(5))));
  EXPECT_EQ(List().pending_size(), 0);
  EXPECT_TRUE(FailsWith(CallFrom(Where::kOutside, Word(digest)),
                        ErrorCode::kSessionEnded));
}

TEST_F(ApproveTest, KeepsSoManyWaitingAndNoMore) {
  for (size_t i = 0; i < Approvals::kMaxPerUid; ++i) {
    Ask("test:prompt:" + std::to_string(i));
  }
  EXPECT_EQ(DecisionOn("test:prompt:more"), "busy");
  EXPECT_EQ(List().pending_size(), static_cast<int>(Approvals::kMaxPerUid));
  Ask("test:prompt:0");  // Waits already.
  EXPECT_EQ(DecisionOn("test:do"), "permit");
}

TEST_F(ApproveTest, LeavesRoomForAnApprovalInEveryAction) {
  // The longest action that is taken is taken with an approval as well.
  v1::Request ask = AuthorizeAsk(session_, "test:permit");
  v1::AuthorizeRequest& asked = *ask.mutable_authorize();
  asked.mutable_resource()->resize(1024, 'a');
  asked.set_purpose(std::string(256, 'p'));
  asked.set_task_id(std::string(256, 't'));
  asked.set_request_sha256(std::string(32, 's'));
  while (true) {
    const auto answer = client_->Call(ask, seconds(5));
    if (!answer.has_value()) {
      EXPECT_TRUE(FailsWith(answer, ErrorCode::kTooLarge));
      break;
    }
    asked.mutable_grant_audience()->push_back('a');
  }
  asked.mutable_grant_audience()->pop_back();
  ASSERT_EQ(asked.name().size(), std::string(kAction).size());
  asked.set_name(kAction);
  const auto longest = client_->Call(ask, seconds(5));
  ASSERT_TRUE(Succeeds(longest));
  ASSERT_TRUE(Succeeds(
      CallFrom(Where::kOutside, Word(longest->authorize().request_digest()))));
  const auto approved = client_->Call(ask, seconds(5));
  ASSERT_TRUE(Succeeds(approved));
  EXPECT_EQ(approved->authorize().decision(), "permit");
  EXPECT_LE(statement::SerializeStatement(rig_.service.actions().back()).size(),
            2048u);
}

}  // namespace
}  // namespace countersign::agent
