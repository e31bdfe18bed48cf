#include "platform/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "platform/peer_identity.h"
#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

namespace fs = std::filesystem;
using Environment = std::vector<std::pair<std::string, std::string>>;

// Lets it exec and run.
Status LetRun(HeldChild& child, const Environment& environment = {}) {
  CS_RETURN_IF_ERROR(child.Release(environment));
  child.Continue();
  return {};
}

// What Release needs to stop a program at its start.
bool MayTrace() {
  const ForkedChild child([] {
    while (true) ::pause();
  });
  return ::ptrace(PTRACE_SEIZE, child.pid(), nullptr, nullptr) == 0;
}

TEST(HeldChildTest, RunsNothingBeforeRelease) {
  const TempFolder folder;
  auto child = HeldChild::Spawn({"touch", folder / "ran"});
  ASSERT_TRUE(Succeeds(child));
  ::usleep(50'000);
  EXPECT_FALSE(fs::exists(folder / "ran"));
  ASSERT_TRUE(Succeeds(LetRun(*child)));
  EXPECT_EQ(*child->Wait(), 0);
  EXPECT_TRUE(fs::exists(folder / "ran"));
}

TEST(HeldChildTest, SetsTheEnvironment) {
  auto child =
      HeldChild::Spawn({"sh", "-c",
                        "test \"$ONE\" = 'a b=c' && test \"$TWO\" = '' && "
                        "test -n \"$PATH\""});
  ASSERT_TRUE(Succeeds(child));
  const Environment environment = {{"ONE", "a b=c"}, {"TWO", ""}};
  ASSERT_TRUE(Succeeds(LetRun(*child, environment)));
  EXPECT_EQ(*child->Wait(), 0);
}

TEST(HeldChildTest, ReturnsExitCodesAndSignals) {
  auto failing = HeldChild::Spawn({"sh", "-c", "exit 7"});
  ASSERT_TRUE(failing && LetRun(*failing));
  EXPECT_EQ(*failing->Wait(), 7);
  auto killed = HeldChild::Spawn({"sleep", "100"});
  ASSERT_TRUE(killed && LetRun(*killed));
  killed->Signal(SIGTERM);
  EXPECT_EQ(*killed->Wait(), 128 + SIGTERM);
}

TEST(HeldChildTest, SaysThatThereIsNoSuchCommand) {
  // A folder in PATH that may not be searched would be the reason instead.
  ::setenv("PATH", "/usr/bin:/bin", 1);
  auto child = HeldChild::Spawn({"no-such-command-anywhere"});
  ASSERT_TRUE(Succeeds(child));
  EXPECT_TRUE(FailsWith(child->Release({}), ErrorCode::kNotFound));
  EXPECT_EQ(*child->Wait(), 127);
}

TEST(HeldChildTest, SaysThatTheCommandMayNotRun) {
  const TempFolder folder;
  std::ofstream(folder / "plain") << "x";
  auto child = HeldChild::Spawn({folder / "plain"});
  ASSERT_TRUE(Succeeds(child));
  EXPECT_TRUE(FailsWith(child->Release({}), ErrorCode::kIoError));
}

TEST(HeldChildTest, DiesWithAParentThatNeverReleasedIt) {
  pid_t pid = 0;
  {
    auto child = HeldChild::Spawn({"sleep", "100"});
    ASSERT_TRUE(Succeeds(child));
    pid = static_cast<pid_t>(child->pid());
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

// The program that it executes is to be seen, and has done nothing yet.
TEST(HeldChildTest, StopsTheProgramBeforeItsFirstInstruction) {
  if (!MayTrace()) GTEST_SKIP() << "ptrace is not allowed here";
  const TempFolder folder;
  auto child =
      HeldChild::Spawn({"sh", "-c", "sleep 100 & touch " + (folder / "ran")});
  ASSERT_TRUE(Succeeds(child));
  ASSERT_TRUE(Succeeds(child->Release({})));
  ::usleep(50'000);
  EXPECT_FALSE(fs::exists(folder / "ran"));
  auto peer = PinnedPeer::FromProcess(OwnedHandle(::dup(child->process())));
  ASSERT_TRUE(Succeeds(peer));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->executable.path, fs::canonical("/bin/sh").string());
  EXPECT_FALSE(identity->traced);
  EXPECT_FALSE(*peer->HasChildren());
  child->Continue();
  EXPECT_EQ(*child->Wait(), 0);
  EXPECT_TRUE(fs::exists(folder / "ran"));
}

TEST(HeldChildTest, EndsOnASignalBeforeItsFirstInstruction) {
  const TempFolder folder;
  for (const bool before_exec : {true, false}) {
    auto child = HeldChild::Spawn({"touch", folder / "ran"});
    ASSERT_TRUE(Succeeds(child));
    if (!before_exec && !MayTrace()) break;
    if (before_exec) child->Signal(SIGTERM);
    (void)child->Release({});
    if (!before_exec) child->Signal(SIGTERM);
    child->Continue();
    EXPECT_EQ(*child->Wait(), 128 + SIGTERM);
    EXPECT_FALSE(fs::exists(folder / "ran"));
  }
}

TEST(HeldChildTest, DiesWithAParentThatNeverLetItGoOn) {
  if (!MayTrace()) GTEST_SKIP() << "ptrace is not allowed here";
  pid_t pid = 0;
  {
    auto child = HeldChild::Spawn({"sleep", "100"});
    ASSERT_TRUE(Succeeds(child));
    ASSERT_TRUE(Succeeds(child->Release({})));
    pid = static_cast<pid_t>(child->pid());
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

// Nobody is left behind stopped.
TEST(HeldChildTest, RunsOnWhenItsParentIsKilled) {
  const TempFolder folder;
  int line[2];
  ASSERT_EQ(::pipe(line), 0);
  ForkedChild parent([&] {
    auto child = HeldChild::Spawn({"touch", folder / "ran"});
    (void)child->Release({});
    (void)!::write(line[1], "x", 1);
    while (true) ::pause();
  });
  char byte = 0;
  ASSERT_EQ(::read(line[0], &byte, 1), 1);
  parent.KillAndReap();
  for (int i = 0; i < 1000 && !fs::exists(folder / "ran"); ++i) ::usleep(5000);
  EXPECT_TRUE(fs::exists(folder / "ran"));
  ::close(line[0]);
  ::close(line[1]);
}

TEST(HeldChildTest, SaysWhenItEnds) {
  auto child = HeldChild::Spawn({"true"});
  ASSERT_TRUE(Succeeds(child));
  pollfd waiting{child->process(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 20), 0);
  ASSERT_TRUE(Succeeds(LetRun(*child)));
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
}

// What `countersign run` rests on: pinned before exec, judged after.
TEST(HeldChildTest, IsJudgedByWhatItExecutes) {
  auto child = HeldChild::Spawn({"sleep", "100"});
  ASSERT_TRUE(Succeeds(child));
  auto peer = PinnedPeer::FromProcess(OwnedHandle(::dup(child->process())));
  ASSERT_TRUE(Succeeds(peer));
  EXPECT_EQ(peer->Describe()->executable.path,
            fs::read_symlink("/proc/self/exe").string());
  ASSERT_TRUE(Succeeds(child->Release({})));
  EXPECT_TRUE(FailsWith(peer->Verify(), ErrorCode::kPeerChanged));
  ASSERT_TRUE(Succeeds(peer->Repin()));
  EXPECT_EQ(fs::path(peer->Describe()->executable.path).filename(), "sleep");
  child->Signal(SIGKILL);
  ASSERT_TRUE(Succeeds(child->Wait()));
  EXPECT_TRUE(FailsWith(peer->Repin(), ErrorCode::kPeerGone));
}

}  // namespace
}  // namespace countersign::platform
