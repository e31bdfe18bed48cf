// Tricks by which one program has its actions ascribed to another, with real
// processes (protocol.md §10, "Who owns a session"). The attacker is this
// program; sleep(1), which asks for nothing, is the one that it would like to
// pass for.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "tests/agent/daemon/daemon_rig.h"
#include "tests/agent/daemon/program_rig.h"
#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::agent {
namespace {

using platform::ForkedChild;
using std::chrono::seconds;

// A line between this process and a child, which goes by the other end and
// finds the line dead when this process is.
class Line {
 public:
  Line() { (void)::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  void TakeOtherEnd() const { ::close(ends_[0]); }
  // On this side, and on the child's.
  void Say(char word = '.') const { (void)!::write(ends_[0], &word, 1); }
  [[nodiscard]] char Hear() const { return Read(ends_[0]); }
  void Answer(char word) const { (void)!::write(ends_[1], &word, 1); }
  [[nodiscard]] char Wait() const { return Read(ends_[1]); }

 private:
  static char Read(int end) {
    char word = '?';
    return ::read(end, &word, 1) == 1 ? word : '?';
  }
  std::array<int, 2> ends_{-1, -1};
};

[[noreturn]] void BecomeSleep() {
  ::execlp("sleep", "sleep", "100", nullptr);
  ::_exit(1);
}

class OwnerAttackTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(Succeeds(rig_.Enroll())) << rig_.log(); }
  void TearDown() override {
    EXPECT_EQ(rig_.service.complaints(), std::vector<std::string>());
  }

  // In a child: uses `session`, and says whether it was permitted ('p'),
  // refused as not its own ('n'), or anything else ('x').
  [[nodiscard]] char Use(const std::string& session) const {
    auto client = rig_.Connect();
    if (!client.has_value()) return 'x';
    const auto answer = client->Call(AuthorizeAsk(session), seconds(20));
    if (answer.has_value()) {
      return answer->authorize().decision() == "permit" ? 'p' : 'x';
    }
    return answer.error().code == ErrorCode::kNotSessionOwner ? 'n' : 'x';
  }

  // A session that this process reserves and hands over to `owner`.
  [[nodiscard]] Result<std::string> HandOver(Client& client, pid_t owner) {
    v1::Request reserve = OpenSessionAsk();
    reserve.mutable_open_session()->set_reserve(true);
    CS_ASSIGN_OR_RETURN(const v1::Response reserved,
                        client.Call(reserve, seconds(5)));
    const std::string id = reserved.open_session().session().session_id();
    v1::Request bind = OpenSessionAsk();
    bind.mutable_open_session()->set_session_id(id);
    const platform::OwnedHandle handle(
        static_cast<platform::Handle>(::syscall(SYS_pidfd_open, owner, 0)));
    CS_ASSIGN_OR_RETURN(const v1::Response bound,
                        client.Call(bind, seconds(20), handle.get()));
    return bound.open_session().session().session_id();
  }

  // How the evidence of the last session grades the program it names.
  [[nodiscard]] v1::Grade GradeOfExecutable() {
    v1::Grade weakest = v1::GRADE_UNSPECIFIED;
    const v1::SessionBinding binding = rig_.service.last_binding();
    for (const auto& seen : binding.workload().observations()) {
      if (seen.name() == "executable_path") {
        weakest = std::max(weakest, seen.grade());
      }
    }
    return weakest;
  }
  [[nodiscard]] std::string ExecutableName() {
    const std::string path =
        rig_.service.last_binding().workload().executable_path();
    return path.substr(path.rfind('/') + 1);
  }
  static void AwaitExec(pid_t pid, const std::string& name) {
    ASSERT_TRUE(Eventually([&] {
      std::error_code ignored;
      return std::filesystem::read_symlink(
                 "/proc/" + std::to_string(pid) + "/exe", ignored)
                 .filename() == name;
    }));
  }

  ProgramRig rig_;
};

// What the attack below abuses: a program that was handed over works on
// through what it starts itself.
TEST_F(OwnerAttackTest, WhatAnOwnerStartsLaterActsInItsName) {
  const Line line;
  const ForkedChild owner([&] {
    line.TakeOtherEnd();
    (void)line.Wait();
    std::string session(16, '\0');
    for (char& byte : session) byte = line.Wait();
    if (::fork() == 0) {
      line.Answer(Use(session));
      ::_exit(0);
    }
    while (true) ::pause();
  });
  auto client = rig_.Connect();
  const auto session = HandOver(*client, owner.pid());
  ASSERT_TRUE(Succeeds(session));
  EXPECT_EQ(GradeOfExecutable(), v1::GRADE_KERNEL);
  line.Say();
  for (const char byte : *session) line.Say(byte);
  EXPECT_EQ(line.Hear(), 'p');
}

// A44: fork a helper below the process to be handed over, let that become an
// innocent program, and let the helper speak for it: the helper descends from
// the owner, but the program that the evidence names never started it.
TEST_F(OwnerAttackTest, AHelperForkedBeforeExecLowersTheGrade) {
  const Line line;
  const ForkedChild owner([&] {
    line.TakeOtherEnd();
    if (::fork() != 0) BecomeSleep();
    std::string session(16, '\0');
    for (char& byte : session) byte = line.Wait();
    line.Answer(Use(session));
    ::_exit(0);
  });
  AwaitExec(owner.pid(), "sleep");
  auto client = rig_.Connect();
  const auto session = HandOver(*client, owner.pid());
  ASSERT_TRUE(Succeeds(session));
  EXPECT_EQ(ExecutableName(), "sleep");
  EXPECT_EQ(GradeOfExecutable(), v1::GRADE_SAME_USER_SPOOFABLE);
  for (const char byte : *session) line.Say(byte);
  EXPECT_EQ(line.Hear(), 'p');  // The policy may permit it, knowing that.
}

// A44: the same without exec: the helper waits below a program that opens a
// session for itself, and reads its id from the list of its user's sessions.
TEST_F(OwnerAttackTest, AHelperMayNotUseWhatItsParentOpenedForItself) {
  const Line helper;
  const Line opener;
  const ForkedChild owner([&] {
    helper.TakeOtherEnd();
    opener.TakeOtherEnd();
    if (::fork() == 0) {
      (void)helper.Wait();
      auto client = rig_.Connect();
      v1::Request list;
      list.mutable_list_sessions();
      const auto listed = client->Call(list, seconds(5));
      helper.Answer(listed.has_value() &&
                            listed->list_sessions().sessions_size() == 1
                        ? Use(listed->list_sessions().sessions(0).session_id())
                        : 'x');
      ::_exit(0);
    }
    auto client = rig_.Connect();
    const auto session = rig_.OpenSession(*client);
    opener.Answer(session.has_value() ? Use(*session) : 'x');
    while (true) ::pause();
  });
  EXPECT_EQ(opener.Hear(), 'p');  // The owner itself, as what it is.
  EXPECT_EQ(GradeOfExecutable(), v1::GRADE_KERNEL);
  helper.Say();
  EXPECT_EQ(helper.Hear(), 'n');
  EXPECT_EQ(rig_.service.actions().size(), 1u);
}

// A45: an innocent program with foreign code inside, as far as that shows.
TEST_F(OwnerAttackTest, APreloadedLibraryLowersTheGrade) {
  const ForkedChild owner([&] {
    ::setenv("LD_PRELOAD", "libm.so.6", 1);
    BecomeSleep();
  });
  AwaitExec(owner.pid(), "sleep");
  auto client = rig_.Connect();
  ASSERT_TRUE(Succeeds(HandOver(*client, owner.pid())));
  EXPECT_EQ(ExecutableName(), "sleep");
  EXPECT_EQ(GradeOfExecutable(), v1::GRADE_SAME_USER_SPOOFABLE);
}

// A45: another program under the innocent one's name, in a mount namespace of
// the attacker's own.
TEST_F(OwnerAttackTest, ANameFromAnotherMountNamespaceLowersTheGrade) {
  const std::string sleep =
      std::filesystem::canonical("/usr/bin/sleep").string();
  const ForkedChild owner([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS)) {
      ::_exit(77);
    }
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    (void)::mount("/usr/bin/tail", sleep.c_str(), nullptr, MS_BIND, nullptr);
    ::execl(sleep.c_str(), "tail", "-f", "/dev/null", nullptr);
    ::_exit(1);
  });
  if (!Eventually([&] {
        std::error_code ignored;
        return std::filesystem::read_symlink(
                   "/proc/" + std::to_string(owner.pid()) + "/exe", ignored) ==
               sleep;
      })) {
    GTEST_SKIP() << "mount namespaces are not allowed here";
  }
  auto client = rig_.Connect();
  ASSERT_TRUE(Succeeds(HandOver(*client, owner.pid())));
  EXPECT_EQ(ExecutableName(), "sleep");
  EXPECT_EQ(GradeOfExecutable(), v1::GRADE_SAME_USER_SPOOFABLE);
}

// Handed over before its exec, a process is judged by what it is then, and
// the session does not become one of what it turns into.
TEST_F(OwnerAttackTest, BecomingAnotherProgramDoesNotChangeTheEvidence) {
  const Line line;
  const ForkedChild owner([&] {
    line.TakeOtherEnd();
    (void)line.Wait();
    BecomeSleep();
  });
  auto client = rig_.Connect();
  ASSERT_TRUE(Succeeds(HandOver(*client, owner.pid())));
  EXPECT_NE(ExecutableName(), "sleep");
  line.Say();
  AwaitExec(owner.pid(), "sleep");
  EXPECT_NE(ExecutableName(), "sleep");
}

}  // namespace
}  // namespace countersign::agent
