#include "platform/peer_identity.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "attest/base/digest.h"
#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

namespace fs = std::filesystem;

OwnedHandle HandleOf(pid_t pid) {
  return OwnedHandle(static_cast<Handle>(::syscall(SYS_pidfd_open, pid, 0)));
}

Result<PinnedPeer> Pin(pid_t pid) {
  return PinnedPeer::FromProcess(HandleOf(pid));
}

TEST(PinnedPeerTest, DescribesThisProcess) {
  const auto pair = LocalConnection::Pair();
  ASSERT_TRUE(Succeeds(pair));
  const auto peer = PinnedPeer::FromSocket(pair->first);
  ASSERT_TRUE(Succeeds(peer));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->pid, static_cast<uint32_t>(::getpid()));
  EXPECT_EQ(identity->uid, ::geteuid());
  EXPECT_EQ(identity->gid, ::getegid());
  EXPECT_EQ(identity->executable.path,
            fs::read_symlink("/proc/self/exe").string());
  EXPECT_GT(identity->executable.size, 0u);
  EXPECT_GT(identity->start_time, 0u);
  if (::geteuid() == 0) {
    EXPECT_EQ(identity->user_name, "root");
  }
}

// A process that waits for a byte, forks from its main thread or from another
// one, and says so.
class Forker {
 public:
  explicit Forker(bool from_thread) {
    (void)::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_);
    child_.emplace([this, from_thread] {
      char byte = 0;
      (void)!::read(ends_[1], &byte, 1);
      std::thread other([&] {
        if (from_thread) Fork();
        (void)!::read(ends_[1], &byte, 1);  // Keeps the thread.
      });
      if (!from_thread) Fork();
      other.join();
    });
    ::close(ends_[1]);  // So that the children end with this.
  }
  ~Forker() { ::close(ends_[0]); }
  [[nodiscard]] pid_t pid() const { return child_->pid(); }
  void ForkOne() {
    char byte = 'x';
    (void)!::write(ends_[0], &byte, 1);
    (void)!::read(ends_[0], &byte, 1);
  }

 private:
  void Fork() {
    char byte = 'x';
    if (::fork() == 0) {
      ::close(ends_[0]);
      (void)!::read(ends_[1], &byte, 1);
      ::_exit(0);
    }
    (void)!::write(ends_[1], &byte, 1);
  }
  int ends_[2] = {-1, -1};
  std::optional<ForkedChild> child_;
};

TEST(PinnedPeerTest, SeesAChildOfAnyThread) {
  for (const bool from_thread : {false, true}) {
    Forker forker(from_thread);
    const auto peer = Pin(forker.pid());
    ASSERT_TRUE(Succeeds(peer));
    const auto before = peer->HasChildren();
    ASSERT_TRUE(Succeeds(before));
    EXPECT_FALSE(*before);
    forker.ForkOne();
    const auto after = peer->HasChildren();
    ASSERT_TRUE(Succeeds(after));
    EXPECT_TRUE(*after);
  }
}

// A49: a look at every thread of a process that has very many takes too long.
TEST(PinnedPeerTest, TakesAProcessOfVeryManyThreadsForAParent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const ForkedChild child([&ends] {
    for (int i = 0; i < 256; ++i) std::thread(::pause).detach();
    (void)!::write(ends[1], "x", 1);
    ::pause();
  });
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  ::close(ends[0]);
  ::close(ends[1]);
  const auto peer = Pin(child.pid());
  ASSERT_TRUE(Succeeds(peer));
  const auto has_children = peer->HasChildren();
  ASSERT_TRUE(Succeeds(has_children));
  EXPECT_TRUE(*has_children);
}

TEST(PinnedPeerTest, RejectsAskingWhoseChildrenAreGone) {
  ForkedChild child([] {
    while (true) ::pause();
  });
  const auto peer = Pin(child.pid());
  ASSERT_TRUE(Succeeds(peer));
  child.KillAndReap();
  EXPECT_TRUE(FailsWith(peer->HasChildren(), ErrorCode::kPeerGone));
}

TEST(PinnedPeerTest, ListsTheParentsNearestFirst) {
  const ForkedChild child([] {
    while (true) ::pause();
  });
  const auto peer = Pin(child.pid());
  ASSERT_TRUE(Succeeds(peer));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  ASSERT_FALSE(identity->parents.empty());
  EXPECT_EQ(identity->parents[0].pid, static_cast<uint32_t>(::getpid()));
  EXPECT_EQ(identity->parents[0].executable_path,
            fs::read_symlink("/proc/self/exe").string());
  EXPECT_LE(identity->parents.size(), 16u);
}

TEST(PinnedPeerTest, SaysWhenTheProcessExits) {
  ForkedChild child([] {
    while (true) ::pause();
  });
  const auto peer = Pin(child.pid());
  ASSERT_TRUE(Succeeds(peer));
  pollfd waiting{peer->exit_handle(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  ::kill(child.pid(), SIGKILL);
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
  EXPECT_TRUE(FailsWith(peer->Verify(), ErrorCode::kPeerGone));
}

TEST(PinnedPeerTest, KnowsItsDescendants) {
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const ForkedChild child([&] {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      while (true) ::pause();
    }
    (void)!::write(report[1], &grandchild, sizeof(grandchild));
    while (true) ::pause();
  });
  pid_t grandchild = 0;
  ASSERT_EQ(::read(report[0], &grandchild, sizeof(grandchild)),
            static_cast<ssize_t>(sizeof(grandchild)));
  const ForkedChild stranger([] {
    while (true) ::pause();
  });
  const auto self = Pin(::getpid());
  const auto owner = Pin(child.pid());
  const auto descendant = Pin(grandchild);
  const auto other = Pin(stranger.pid());
  ASSERT_TRUE(self && owner && descendant && other);
  EXPECT_EQ(*descendant->IsDescendantOf(*owner), true);
  EXPECT_EQ(*descendant->IsDescendantOf(*self), true);
  EXPECT_EQ(*owner->IsDescendantOf(*owner), true);
  EXPECT_EQ(*owner->IsDescendantOf(*descendant), false);
  EXPECT_EQ(*other->IsDescendantOf(*owner), false);
  ::kill(grandchild, SIGKILL);
  ::close(report[0]);
  ::close(report[1]);
}

TEST(PinnedPeerTest, RejectsDescendantOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const ForkedChild child([&] {
    if (::setresuid(12345, 12345, 12345) != 0) ::_exit(1);
    (void)!::write(report[1], "x", 1);
    while (true) ::pause();
  });
  char byte = 0;
  ASSERT_EQ(::read(report[0], &byte, 1), 1);
  const auto self = Pin(::getpid());
  const auto descendant = Pin(child.pid());
  ASSERT_TRUE(self && descendant);
  EXPECT_EQ(*descendant->IsDescendantOf(*self), false);
  ::close(report[0]);
  ::close(report[1]);
}

TEST(PinnedPeerTest, RejectsDescendantWhoseAncestorHasExited) {
  ForkedChild owner_process([] {
    while (true) ::pause();
  });
  const auto owner = Pin(owner_process.pid());
  const auto self = Pin(::getpid());
  ASSERT_TRUE(owner && self);
  owner_process.KillAndReap();
  EXPECT_TRUE(FailsWith(self->IsDescendantOf(*owner), ErrorCode::kPeerGone));
}

TEST(PinnedPeerTest, PinsItsParent) {
  const ForkedChild child([] {
    while (true) ::pause();
  });
  const auto peer = Pin(child.pid());
  ASSERT_TRUE(Succeeds(peer));
  const auto parent = peer->Parent();
  ASSERT_TRUE(Succeeds(parent));
  EXPECT_EQ(parent->pid(), static_cast<uint32_t>(::getpid()));
}

TEST(PinnedPeerTest, RejectsHandleThatIsNoProcess) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[1]);
  EXPECT_TRUE(FailsWith(PinnedPeer::FromProcess(OwnedHandle(ends[0])),
                        ErrorCode::kBadRequest));
}

TEST(ExecutableHasherTest, HashesTheWholeFile) {
  const TempFolder folder;
  std::string content(300'000, 'x');  // More than one piece.
  content += "end";
  std::ofstream(folder / "program", std::ios::binary) << content;
  const OwnedHandle file(::open((folder / "program").c_str(), O_RDONLY));
  ExecutableHasher hasher;
  const auto digest = hasher.Hash(file);
  ASSERT_TRUE(Succeeds(digest));
  EXPECT_EQ(*digest, Sha256(AsBytes(content)));
}

TEST(ExecutableHasherTest, KnowsWhatItHashedBefore) {
  const auto self = Pin(::getpid());
  ASSERT_TRUE(Succeeds(self));
  const auto identity = self->Describe();
  ASSERT_TRUE(Succeeds(identity));
  ExecutableHasher hasher;
  EXPECT_TRUE(
      FailsWith(hasher.Cached(identity->executable), ErrorCode::kNotFound));
  const auto digest = hasher.Hash(*self->OpenExecutable());
  ASSERT_TRUE(Succeeds(digest));
  EXPECT_EQ(*hasher.Cached(identity->executable), *digest);
}

TEST(ExecutableHasherTest, HashesAgainWhenTheFileHasChanged) {
  const TempFolder folder;
  const std::string path = folder / "program";
  std::ofstream(path) << "first";
  const OwnedHandle file(::open(path.c_str(), O_RDONLY));
  ExecutableHasher hasher;
  ASSERT_TRUE(Succeeds(hasher.Hash(file)));
  std::ofstream(path) << "other content";
  EXPECT_EQ(*hasher.Hash(file), Sha256(AsBytes("other content")));
}

TEST(ExecutableHasherTest, RejectsFileOverTheLimit) {
  const TempFolder folder;
  std::ofstream(folder / "program") << "123456";
  const OwnedHandle file(::open((folder / "program").c_str(), O_RDONLY));
  ExecutableHasher hasher(5);
  EXPECT_TRUE(FailsWith(hasher.Hash(file), ErrorCode::kTooLarge));
}

}  // namespace
}  // namespace countersign::platform
