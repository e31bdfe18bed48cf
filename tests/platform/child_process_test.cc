#include "platform/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

TEST(HeldChildTest, RunsNothingBeforeRelease) {
  const TempFolder folder;
  auto child = HeldChild::Spawn({"touch", folder / "ran"});
  ASSERT_TRUE(Succeeds(child));
  ::usleep(50'000);
  EXPECT_FALSE(fs::exists(folder / "ran"));
  ASSERT_TRUE(Succeeds(child->Release({})));
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
  ASSERT_TRUE(Succeeds(child->Release(environment)));
  EXPECT_EQ(*child->Wait(), 0);
}

TEST(HeldChildTest, ReturnsExitCodesAndSignals) {
  auto failing = HeldChild::Spawn({"sh", "-c", "exit 7"});
  ASSERT_TRUE(failing && failing->Release({}));
  EXPECT_EQ(*failing->Wait(), 7);
  auto killed = HeldChild::Spawn({"sleep", "100"});
  ASSERT_TRUE(killed && killed->Release({}));
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

TEST(HeldChildTest, SaysWhenItEnds) {
  auto child = HeldChild::Spawn({"true"});
  ASSERT_TRUE(Succeeds(child));
  pollfd waiting{child->process(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 20), 0);
  ASSERT_TRUE(Succeeds(child->Release({})));
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
