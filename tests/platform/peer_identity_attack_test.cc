// The tricks by which one program passes for another, each with real
// processes (protocol.md §10, adversaries A43 to A45). In every test the
// attacker is a program that is not allowed, and PEER_CHILD one that is.

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "platform/linux/peer_process.h"
#include "platform/peer_identity.h"
#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

namespace fs = std::filesystem;

const std::string kAllowed = PEER_CHILD;

[[noreturn]] void Exec(const std::string& program, const char* command,
                       const std::string& argument) {
  ::execl(program.c_str(), program.c_str(), command, argument.c_str(), nullptr);
  ::_exit(1);
}

// Connects and returns a descriptor that survives exec.
int ConnectRaw(const std::string& path) {
  auto connection = LocalConnection::Connect(path, kSoon);
  if (!connection.has_value()) ::_exit(1);
  const int socket = ::dup(connection->handle());
  const int flags = ::fcntl(socket, F_GETFL);
  ::fcntl(socket, F_SETFL, flags & ~O_NONBLOCK);
  return socket;
}

class PeerIdentityAttackTest : public testing::Test {
 protected:
  void SetUp() override {
    auto listener = LocalListener::Listen(folder_ / "s", 0666);
    ASSERT_TRUE(Succeeds(listener));
    listener_.emplace(*std::move(listener));
    fs::permissions(folder_.path(), fs::perms(0755));
  }
  std::string path() const { return folder_ / "s"; }

  TempFolder folder_;
  std::optional<LocalListener> listener_;
};

TEST_F(PeerIdentityAttackTest, AcceptsAnHonestPeer) {
  const ForkedChild honest([&] { Exec(kAllowed, "connect", path()); });
  LocalConnection connection = AcceptSoon(*listener_);
  const Received received = ReadSoon(connection);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  EXPECT_EQ(AsString(received.bytes), "hello");
  EXPECT_TRUE(Succeeds(peer->VerifyWriter(received.writer)));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->executable.path, fs::canonical(kAllowed).string());
  EXPECT_FALSE(identity->executable.deleted);
}

// A44: connect, fork, let a child that runs an allowed program talk.
TEST_F(PeerIdentityAttackTest, RejectsAllowedChildOfWhoConnected) {
  const ForkedChild attacker([&] {
    const int socket = ConnectRaw(path());
    if (::fork() == 0) Exec(kAllowed, "write", std::to_string(socket));
    while (true) ::pause();
  });
  LocalConnection connection = AcceptSoon(*listener_);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  const Received received = ReadSoon(connection);
  ASSERT_EQ(AsString(received.bytes), "hello");
  EXPECT_EQ(peer->pid(), static_cast<uint32_t>(attacker.pid()));
  EXPECT_NE(received.writer.pid, peer->pid());
  EXPECT_TRUE(
      FailsWith(peer->VerifyWriter(received.writer), ErrorCode::kPeerChanged));
  ::kill(static_cast<pid_t>(received.writer.pid), SIGKILL);
}

// A44: connect, then become an allowed program under the same pid.
TEST_F(PeerIdentityAttackTest, RejectsExecOfAllowedProgramAfterConnect) {
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const ForkedChild attacker([&] {
    const int socket = ConnectRaw(path());
    char byte = 0;
    (void)!::read(go[0], &byte, 1);
    Exec(kAllowed, "write", std::to_string(socket));
  });
  LocalConnection connection = AcceptSoon(*listener_);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  EXPECT_TRUE(Succeeds(peer->Verify()));
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  const Received received = ReadSoon(connection);
  ASSERT_EQ(AsString(received.bytes), "hello");
  EXPECT_EQ(received.writer.pid, peer->pid());  // All that SO_PEERCRED knows.
  EXPECT_TRUE(
      FailsWith(peer->VerifyWriter(received.writer), ErrorCode::kPeerChanged));
  EXPECT_TRUE(FailsWith(peer->Describe(), ErrorCode::kPeerChanged));
  ::close(go[0]);
  ::close(go[1]);
}

// A44: the connection handed to another process over a socket.
TEST_F(PeerIdentityAttackTest, RejectsProcessThatWasPassedTheConnection) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const ForkedChild receiver([&] {
    char byte = 0;
    char control[CMSG_SPACE(sizeof(int))] = {};
    iovec piece{&byte, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    if (::recvmsg(pair[1], &message, 0) != 1) ::_exit(1);
    const cmsghdr* const passed = CMSG_FIRSTHDR(&message);
    if (passed == nullptr) ::_exit(1);
    int socket = -1;
    std::memcpy(&socket, CMSG_DATA(passed), sizeof(socket));
    Exec(kAllowed, "write", std::to_string(socket));
  });
  const ForkedChild attacker([&] {
    auto carrier = LocalConnection::Adopt(OwnedHandle(::dup(pair[0])));
    const int socket = ConnectRaw(path());
    (void)carrier->WriteWithProcess(AsBytes("x"), socket);
    while (true) ::pause();
  });
  LocalConnection connection = AcceptSoon(*listener_);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  const Received received = ReadSoon(connection);
  ASSERT_EQ(AsString(received.bytes), "hello");
  EXPECT_EQ(received.writer.pid, static_cast<uint32_t>(receiver.pid()));
  EXPECT_TRUE(
      FailsWith(peer->VerifyWriter(received.writer), ErrorCode::kPeerChanged));
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST_F(PeerIdentityAttackTest, RejectsPeerThatHasExited) {
  ForkedChild short_lived([&] { Exec(kAllowed, "connect", path()); });
  LocalConnection connection = AcceptSoon(*listener_);
  const Received received = ReadSoon(connection);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  short_lived.KillAndReap();
  EXPECT_TRUE(
      FailsWith(peer->VerifyWriter(received.writer), ErrorCode::kPeerGone));
  EXPECT_TRUE(FailsWith(peer->Describe(), ErrorCode::kPeerGone));
  EXPECT_TRUE(
      FailsWith(PinnedPeer::FromSocket(connection), ErrorCode::kPeerGone));
  EXPECT_TRUE(FailsWith(OpenPeerProcess(connection, PeerLookup::kByPid),
                        ErrorCode::kPeerGone));
}

// A44: another process under the pid of the one that connected.
TEST_F(PeerIdentityAttackTest, RejectsProcessThatReusesThePid) {
  ForkedChild first([&] { Exec(kAllowed, "connect", path()); });
  LocalConnection connection = AcceptSoon(*listener_);
  const Received received = ReadSoon(connection);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  const pid_t pid = first.pid();
  first.KillAndReap();

  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uint64_t>(&pid);
  arguments.set_tid_size = 1;
  const long second = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (second == 0) Exec(kAllowed, "sleep", "");
  if (second < 0 && errno == EPERM) GTEST_SKIP() << "needs root";
  ASSERT_EQ(second, pid);
  // The new process really looks like the old one from outside.
  for (int i = 0; i < 1000; ++i) {
    std::error_code ignored;
    const fs::path link = "/proc/" + std::to_string(pid) + "/exe";
    if (fs::read_symlink(link, ignored) == fs::canonical(kAllowed)) break;
    ::usleep(1000);
  }
  EXPECT_TRUE(
      FailsWith(peer->VerifyWriter(received.writer), ErrorCode::kPeerGone));
  EXPECT_TRUE(
      FailsWith(PinnedPeer::FromSocket(connection), ErrorCode::kPeerGone));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST_F(PeerIdentityAttackTest, FindsThePeerByPidOnOlderKernels) {
  const ForkedChild honest([&] { Exec(kAllowed, "connect", path()); });
  LocalConnection connection = AcceptSoon(*listener_);
  (void)ReadSoon(connection);
  auto process = OpenPeerProcess(connection, PeerLookup::kByPid);
  ASSERT_TRUE(Succeeds(process));
  const auto peer = PinnedPeer::FromProcess(*std::move(process));
  ASSERT_TRUE(Succeeds(peer));
  EXPECT_EQ(peer->pid(), static_cast<uint32_t>(honest.pid()));
}

// A45: the file that runs is what counts, not what has its name by now.
TEST_F(PeerIdentityAttackTest, HashesWhatRunsAfterItsFileWasReplaced) {
  const std::string copy = folder_ / "program";
  fs::copy_file(kAllowed, copy);
  const ForkedChild running([&] { Exec(copy, "connect", path()); });
  LocalConnection connection = AcceptSoon(*listener_);
  (void)ReadSoon(connection);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  ExecutableHasher hasher;
  const auto before = hasher.Hash(*peer->OpenExecutable());
  ASSERT_TRUE(Succeeds(before));

  const std::string other = folder_ / "other";
  std::ofstream(other) << "#!/bin/true\n";
  fs::rename(other, copy);
  EXPECT_TRUE(Succeeds(peer->Verify()));  // Still runs what it ran.
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_TRUE(identity->executable.deleted);
  EXPECT_FALSE(identity->executable.memfd);
  EXPECT_EQ(identity->executable.path, copy);
  EXPECT_FALSE(PathLeadsTo(identity->executable));
  ExecutableHasher fresh;
  EXPECT_EQ(*fresh.Hash(*peer->OpenExecutable()), *before);
}

// A45: in a mount namespace of one's own, any file can have any name.
TEST_F(PeerIdentityAttackTest, SeesThroughANameInAnotherMountNamespace) {
  const std::string other = folder_ / "other";
  fs::copy_file("/bin/sleep", other);
  const ForkedChild attacker([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS)) {
      ::_exit(77);
    }
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount(other.c_str(), kAllowed.c_str(), nullptr, MS_BIND, nullptr)) {
      ::_exit(77);
    }
    Exec(kAllowed, "100", "100");
  });
  const fs::path link = "/proc/" + std::to_string(attacker.pid()) + "/exe";
  std::error_code ignored;
  for (int i = 0; i < 1000; ++i) {
    if (fs::read_symlink(link, ignored) == fs::canonical(kAllowed)) break;
    ::usleep(1000);
  }
  if (fs::read_symlink(link, ignored) != fs::canonical(kAllowed)) {
    GTEST_SKIP() << "mount namespaces are not allowed here";
  }
  const auto peer = PinnedPeer::FromProcess(OwnedHandle(
      static_cast<Handle>(::syscall(SYS_pidfd_open, attacker.pid(), 0))));
  ASSERT_TRUE(Succeeds(peer));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->executable.path, fs::canonical(kAllowed).string());
  EXPECT_FALSE(identity->executable.deleted);
  EXPECT_FALSE(PathLeadsTo(identity->executable));

  const auto plain = PinnedPeer::FromProcess(OwnedHandle(
      static_cast<Handle>(::syscall(SYS_pidfd_open, ::getpid(), 0))));
  ASSERT_TRUE(Succeeds(plain));
  EXPECT_TRUE(PathLeadsTo(plain->Describe()->executable));
}

// A45: a running file cannot be overwritten in place.
TEST_F(PeerIdentityAttackTest, KernelRefusesToOverwriteWhatRuns) {
  const std::string copy = folder_ / "program";
  fs::copy_file(kAllowed, copy);
  const ForkedChild running([&] { Exec(copy, "connect", path()); });
  LocalConnection connection = AcceptSoon(*listener_);
  (void)ReadSoon(connection);
  EXPECT_EQ(::open(copy.c_str(), O_WRONLY), -1);
  EXPECT_EQ(errno, ETXTBSY);
}

// A45: a program that never was a file.
TEST_F(PeerIdentityAttackTest, MarksAProgramThatRunsFromMemory) {
  const ForkedChild running([&] {
    const int memory = ::memfd_create(kAllowed.c_str(), 0);
    std::ifstream file(kAllowed, std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    (void)!::write(memory, content.data(), content.size());
    const std::string self = "/proc/self/fd/" + std::to_string(memory);
    Exec(self, "connect", path());
  });
  LocalConnection connection = AcceptSoon(*listener_);
  (void)ReadSoon(connection);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_TRUE(identity->executable.memfd);
  EXPECT_TRUE(identity->executable.deleted);
  EXPECT_EQ(identity->executable.path, "");
}

// A45: an allowed program with foreign code inside. Recorded where it shows.
TEST_F(PeerIdentityAttackTest, MarksAProgramWithAPreloadedLibrary) {
  const ForkedChild running([&] {
    ::setenv("LD_PRELOAD", "libm.so.6", 1);
    Exec(kAllowed, "connect", path());
  });
  LocalConnection connection = AcceptSoon(*listener_);
  (void)ReadSoon(connection);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_TRUE(identity->preloaded);
  EXPECT_FALSE(identity->traced);
}

TEST_F(PeerIdentityAttackTest, MarksAProgramThatIsDebugged) {  // A45
  const ForkedChild running([&] { Exec(kAllowed, "connect", path()); });
  LocalConnection connection = AcceptSoon(*listener_);
  (void)ReadSoon(connection);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  EXPECT_FALSE(peer->Describe()->traced);
  if (::ptrace(PTRACE_SEIZE, running.pid(), nullptr, nullptr) != 0) {
    GTEST_SKIP() << "ptrace is not allowed here";
  }
  EXPECT_TRUE(peer->Describe()->traced);
  EXPECT_FALSE(peer->Describe()->preloaded);
}

// A45: of a script, the interpreter is what the kernel shows.
TEST_F(PeerIdentityAttackTest, ShowsTheInterpreterOfAScript) {
  const std::string script = folder_ / "agent";
  std::ofstream(script) << "#!/bin/sh\nkill -STOP $$\n";
  fs::permissions(script, fs::perms(0755));
  const ForkedChild running([&] {
    ::execl(script.c_str(), script.c_str(), nullptr);
    ::_exit(1);
  });
  ASSERT_EQ(::waitpid(running.pid(), nullptr, WUNTRACED), running.pid());
  const auto peer = PinnedPeer::FromProcess(OwnedHandle(
      static_cast<Handle>(::syscall(SYS_pidfd_open, running.pid(), 0))));
  ASSERT_TRUE(Succeeds(peer));
  EXPECT_EQ(peer->Describe()->executable.path,
            fs::canonical("/bin/sh").string());
}

// A43
TEST_F(PeerIdentityAttackTest, ShowsTheUserOfAnotherUsersProcess) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const ForkedChild other([&] {
    if (::setgid(12345) != 0 || ::setuid(12345) != 0) ::_exit(1);
    (void)ConnectRaw(path());
    while (true) ::pause();
  });
  LocalConnection connection = AcceptSoon(*listener_);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  const auto identity = peer->Describe();
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->uid, 12345u);
  EXPECT_EQ(identity->gid, 12345u);
  EXPECT_EQ(identity->user_name, "");
}

// A43: a process that drops or gains rights between two requests.
TEST_F(PeerIdentityAttackTest, RejectsPeerThatBecameAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const ForkedChild changer([&] {
    const int socket = ConnectRaw(path());
    char byte = 0;
    (void)!::read(go[0], &byte, 1);
    if (::setresuid(12345, 12345, 12345) != 0) ::_exit(1);
    (void)!::write(socket, "hello", 5);
    while (true) ::pause();
  });
  LocalConnection connection = AcceptSoon(*listener_);
  const auto peer = PinnedPeer::FromSocket(connection);
  ASSERT_TRUE(Succeeds(peer));
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  const Received received = ReadSoon(connection);
  EXPECT_EQ(received.writer.uid, 12345u);
  EXPECT_TRUE(
      FailsWith(peer->VerifyWriter(received.writer), ErrorCode::kPeerChanged));
  EXPECT_TRUE(FailsWith(peer->Verify(), ErrorCode::kPeerChanged));
  ::close(go[0]);
  ::close(go[1]);
}

// A43: a user that our user namespace has no number for.
TEST_F(PeerIdentityAttackTest, RejectsUserOfAnotherUserNamespace) {
  ForkedChild inside([] {
    if (::unshare(CLONE_NEWUSER) != 0) ::_exit(77);
    const auto pair = LocalConnection::Pair();
    const auto peer = PinnedPeer::FromSocket(pair->first);
    const bool refused = !peer.has_value() &&
                         peer.error().code == ErrorCode::kPeerIdentityUnknown;
    ::_exit(refused ? 0 : 1);
  });
  const int code = inside.Wait();
  if (code == 77) GTEST_SKIP() << "user namespaces are not allowed here";
  EXPECT_EQ(code, 0);
}

// A43: a process outside our pid namespace has no pid that we could pin.
TEST_F(PeerIdentityAttackTest, RejectsProcessOutsideThePidNamespace) {
  ForkedChild outside([&] {
    if (::unshare(CLONE_NEWPID) != 0) ::_exit(77);
    auto pair = LocalConnection::Pair();  // Made out here.
    ForkedChild inside([&] {
      const auto peer = PinnedPeer::FromSocket(pair->first);
      const bool refused = !peer.has_value() &&
                           peer.error().code == ErrorCode::kPeerIdentityUnknown;
      ::_exit(refused ? 0 : 1);
    });
    ::_exit(inside.Wait());
  });
  const int code = outside.Wait();
  if (code == 77) GTEST_SKIP() << "needs root";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace countersign::platform
