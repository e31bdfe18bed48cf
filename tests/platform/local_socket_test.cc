#include "platform/local_socket.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>
#include <fstream>

#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

namespace fs = std::filesystem;

class LocalSocketTest : public testing::Test {
 protected:
  std::string path() const { return folder_ / "agent.sock"; }
  TempFolder folder_;
};

TEST_F(LocalSocketTest, CarriesBytesBothWays) {
  auto listener = LocalListener::Listen(path(), 0600);
  ASSERT_TRUE(Succeeds(listener));
  auto client = LocalConnection::Connect(path(), kSoon);
  ASSERT_TRUE(Succeeds(client));
  LocalConnection server = AcceptSoon(*listener);
  ASSERT_TRUE(Succeeds(client->WriteAll(AsBytes("ping"), kSoon)));
  EXPECT_EQ(AsString(ReadSoon(server).bytes), "ping");
  ASSERT_TRUE(Succeeds(server.WriteAll(AsBytes("pong"), kSoon)));
  EXPECT_EQ(AsString(ReadSoon(*client).bytes), "pong");
}

TEST_F(LocalSocketTest, SaysWhoWroteEachPiece) {
  auto listener = LocalListener::Listen(path(), 0600);
  ASSERT_TRUE(Succeeds(listener));
  const ForkedChild child([&] {
    auto connection = LocalConnection::Connect(path(), kSoon);
    (void)connection->WriteAll(AsBytes("parent"), kSoon);
    if (::fork() == 0) {
      (void)connection->WriteAll(AsBytes("child"), kSoon);
      ::_exit(0);
    }
    while (true) ::pause();
  });
  LocalConnection server = AcceptSoon(*listener);
  ::usleep(100'000);  // Both pieces wait: they must not be read as one.
  const Received first = ReadSoon(server);
  const Received second = ReadSoon(server);
  EXPECT_EQ(AsString(first.bytes), "parent");
  EXPECT_EQ(AsString(second.bytes), "child");
  EXPECT_EQ(first.writer.pid, static_cast<uint32_t>(child.pid()));
  EXPECT_NE(second.writer.pid, first.writer.pid);
  EXPECT_EQ(first.writer.uid, ::geteuid());
}

TEST_F(LocalSocketTest, SaysWhoWroteBeforeItWasAccepted) {
  auto listener = LocalListener::Listen(path(), 0600);
  auto client = LocalConnection::Connect(path(), kSoon);
  ASSERT_TRUE(listener && client);
  ASSERT_TRUE(Succeeds(client->WriteAll(AsBytes("early"), kSoon)));
  LocalConnection server = AcceptSoon(*listener);
  EXPECT_EQ(ReadSoon(server).writer.pid, static_cast<uint32_t>(::getpid()));
}

TEST_F(LocalSocketTest, ReadReturnsNothingWhenNothingHasArrived) {
  auto pair = LocalConnection::Pair();
  ASSERT_TRUE(Succeeds(pair));
  const auto nothing = pair->first.Read(100);
  ASSERT_TRUE(Succeeds(nothing));
  EXPECT_FALSE(nothing->has_value());
}

TEST_F(LocalSocketTest, ReadReturnsEmptyAtTheEnd) {
  auto pair = LocalConnection::Pair();
  ASSERT_TRUE(Succeeds(pair));
  { const LocalConnection closed = std::move(pair->second); }
  const auto end = pair->first.Read(100);
  ASSERT_TRUE(Succeeds(end));
  ASSERT_TRUE(end->has_value());
  EXPECT_TRUE((*end)->bytes.empty());
}

TEST_F(LocalSocketTest, WriteSaysPeerGoneAndRaisesNoSignal) {
  auto pair = LocalConnection::Pair();
  ASSERT_TRUE(Succeeds(pair));
  { const LocalConnection closed = std::move(pair->second); }
  EXPECT_TRUE(FailsWith(pair->first.Write(AsBytes("x")), ErrorCode::kPeerGone));
}

// A49: a client that never reads.
TEST_F(LocalSocketTest, WriteTakesNothingWhenThePeerDoesNotRead) {
  auto pair = LocalConnection::Pair();
  ASSERT_TRUE(Succeeds(pair));
  const Bytes block(64 * 1024, 'x');
  size_t total = 0;
  Result<size_t> written = size_t{1};
  while (written.has_value() && *written > 0 && total < 64'000'000) {
    written = pair->first.Write(block);
    total += written.value_or(0);
  }
  ASSERT_TRUE(Succeeds(written));
  EXPECT_EQ(*written, 0u);
  EXPECT_TRUE(
      FailsWith(pair->first.WriteAll(block, std::chrono::milliseconds(20)),
                ErrorCode::kTimeout));
}

TEST_F(LocalSocketTest, PassesAProcess) {
  auto pair = LocalConnection::Pair();
  ASSERT_TRUE(Succeeds(pair));
  const OwnedHandle self(
      static_cast<Handle>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  ASSERT_TRUE(
      Succeeds(pair->first.WriteWithProcess(AsBytes("run"), self.get())));
  const Received received = ReadSoon(pair->second);
  EXPECT_EQ(AsString(received.bytes), "run");
  EXPECT_EQ(received.processes.size(), 1u);
}

TEST_F(LocalSocketTest, ClosesHandlesThatAreNoProcess) {
  auto pair = LocalConnection::Pair();
  ASSERT_TRUE(Succeeds(pair));
  const OwnedHandle file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto count_open = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = count_open();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(
        Succeeds(pair->first.WriteWithProcess(AsBytes("x"), file.get())));
    EXPECT_TRUE(ReadSoon(pair->second).processes.empty());
  }
  EXPECT_EQ(count_open(), before);
}

TEST_F(LocalSocketTest, ConnectSaysThatNobodyListens) {
  EXPECT_TRUE(FailsWith(LocalConnection::Connect(path(), kSoon),
                        ErrorCode::kDaemonNotRunning));
}

TEST_F(LocalSocketTest, ConnectRejectsPathThatIsNoSocket) {
  std::ofstream(path()) << "x";
  EXPECT_TRUE(FailsWith(LocalConnection::Connect(path(), kSoon),
                        ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, ConnectRejectsPathThatIsTooLong) {
  EXPECT_TRUE(FailsWith(
      LocalConnection::Connect("/tmp/" + std::string(200, 'x'), kSoon),
      ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, SocketHasTheModeThatWasAskedFor) {
  const mode_t before = ::umask(077);
  auto listener = LocalListener::Listen(path(), 0666);
  ::umask(before);
  ASSERT_TRUE(Succeeds(listener));
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666u);
}

// F27: what a killed daemon left behind.
TEST_F(LocalSocketTest, ReplacesTheSocketOfADeadDaemon) {
  {
    ForkedChild dead([&] {
      auto listener = LocalListener::Listen(path(), 0600);
      if (!listener.has_value()) ::_exit(1);
      ::kill(::getpid(), SIGKILL);
    });
    ASSERT_EQ(dead.Wait(), 128 + SIGKILL);
  }
  ASSERT_TRUE(fs::exists(path()));
  auto listener = LocalListener::Listen(path(), 0600);
  ASSERT_TRUE(Succeeds(listener));
  EXPECT_TRUE(Succeeds(LocalConnection::Connect(path(), kSoon)));
}

// F27
TEST_F(LocalSocketTest, RejectsASecondDaemon) {
  auto listener = LocalListener::Listen(path(), 0600);
  ASSERT_TRUE(Succeeds(listener));
  EXPECT_TRUE(FailsWith(LocalListener::Listen(path(), 0600),
                        ErrorCode::kAlreadyRunning));
  EXPECT_TRUE(Succeeds(LocalConnection::Connect(path(), kSoon)));
}

TEST_F(LocalSocketTest, RemovesItsSocketAtTheEnd) {
  { auto listener = LocalListener::Listen(path(), 0600); }
  EXPECT_FALSE(fs::exists(path()));
}

// A46: each of the things that may have been planted at the path.
TEST_F(LocalSocketTest, RejectsSymbolicLinkAtThePath) {
  fs::create_symlink(folder_ / "elsewhere", path());
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, RejectsFifoAtThePath) {  // A46
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, RejectsFileAtThePath) {  // A46
  std::ofstream(path()) << "precious";
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
  EXPECT_EQ(fs::file_size(path()), 8u);
}

TEST_F(LocalSocketTest, RejectsSymbolicLinkAsLockFile) {  // A46
  std::ofstream(folder_ / "target") << "x";
  fs::create_symlink(folder_ / "target", path() + ".lock");
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, RejectsFifoAsLockFile) {  // A46
  ASSERT_EQ(::mkfifo((path() + ".lock").c_str(), 0600), 0);
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, RejectsHardLinkAsLockFile) {  // A46
  std::ofstream(folder_ / "target") << "x";
  fs::permissions(folder_ / "target", fs::perms(0600));
  fs::create_hard_link(folder_ / "target", path() + ".lock");
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, RejectsFolderThatOthersCanWrite) {  // A46
  fs::permissions(folder_.path(), fs::perms(0777));
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, AcceptsStickyFolder) {
  fs::permissions(folder_.path(), fs::perms(01777));
  EXPECT_TRUE(Succeeds(LocalListener::Listen(path(), 0600)));
}

TEST_F(LocalSocketTest, RejectsFolderThatIsALink) {  // A46
  const TempFolder other;
  fs::create_directory_symlink(folder_.path(), other / "link");
  EXPECT_TRUE(FailsWith(LocalListener::Listen(other / "link/s", 0600),
                        ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, RejectsFolderOfAnotherUser) {  // A46
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::chown(folder_.path().c_str(), 12345, 12345), 0);
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

TEST_F(LocalSocketTest, RejectsSocketOfAnotherUser) {  // A46
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  fs::permissions(folder_.path(), fs::perms(01777));
  ForkedChild other([&] {
    if (::setuid(12345) != 0) ::_exit(1);
    auto listener = LocalListener::Listen(path(), 0666);
    ::_exit(listener.has_value() ? ::kill(::getpid(), SIGKILL) : 1);
  });
  ASSERT_EQ(other.Wait(), 128 + SIGKILL);
  EXPECT_TRUE(
      FailsWith(LocalListener::Listen(path(), 0600), ErrorCode::kUnsafePath));
}

// F08
TEST_F(LocalSocketTest, AcceptReportsThatDescriptorsRanOut) {
  auto listener = LocalListener::Listen(path(), 0600);
  auto client = LocalConnection::Connect(path(), kSoon);
  ASSERT_TRUE(listener && client);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const auto refused = listener->Accept();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(FailsWith(refused, ErrorCode::kIoError));
  const auto accepted = listener->Accept();  // Heals by itself.
  ASSERT_TRUE(Succeeds(accepted));
  EXPECT_TRUE(accepted->has_value());
}

TEST_F(LocalSocketTest, TakesOverAListeningSocketOfTheServiceManager) {
  auto listener = LocalListener::Listen(path(), 0600);
  ASSERT_TRUE(Succeeds(listener));
  auto adopted = LocalListener::Adopt(OwnedHandle(::dup(listener->handle())));
  ASSERT_TRUE(Succeeds(adopted));
  auto client = LocalConnection::Connect(path(), kSoon);
  ASSERT_TRUE(Succeeds(client));
  ASSERT_TRUE(Succeeds(client->WriteAll(AsBytes("x"), kSoon)));
  LocalConnection server = AcceptSoon(*adopted);
  EXPECT_EQ(ReadSoon(server).writer.pid, static_cast<uint32_t>(::getpid()));
  auto pair = LocalConnection::Pair();
  EXPECT_TRUE(
      FailsWith(LocalListener::Adopt(OwnedHandle(::dup(pair->first.handle()))),
                ErrorCode::kBadRequest));
}

}  // namespace
}  // namespace countersign::platform
