// The real program between real pipes and a real socket, with a daemon that
// does what each test needs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <thread>

#include "agent/native_host/relay.h"
#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::agent {
namespace {

using platform::kSoon;
using platform::LocalConnection;
using platform::LocalListener;

const std::string kNonce = "0123456789abcdef";
const std::string kSpliced = "{\"nonce\":\"MDEyMzQ1Njc4OWFiY2RlZg\",";

std::string HostProgram() {
  const char* folder = std::getenv("COUNTERSIGN_BIN");
  return std::string(folder == nullptr ? "." : folder) +
         "/countersign-native-host";
}

std::string Framed(std::string_view payload) {
  Bytes frame;
  AppendFrame(AsBytes(payload), frame);
  return AsString(frame);
}

// What the relay makes of `request` (an object with members).
std::string WithItsNonce(const std::string& request) {
  return kSpliced + request.substr(1);
}

constexpr uid_t kNobody = 65534;

// The host takes another socket's name from root alone.
void BecomeRoot() {
  if (::geteuid() == 0) return;
  const std::string map = "0 " + std::to_string(::geteuid()) + " 1";
  const int mapped = ::unshare(CLONE_NEWUSER) == 0
                         ? ::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC)
                         : -1;
  if (::write(mapped, map.data(), map.size()) < 0) ::_exit(126);
}

// The browser's side: the host as a child with its two pipes.
class Host {
 public:
  explicit Host(const std::string& socket, uid_t uid = 0) {
    int input[2];
    int output[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0) {
      std::abort();
    }
    const std::string program = HostProgram();
    child_.emplace([&] {
      ::dup2(input[0], STDIN_FILENO);
      ::dup2(output[1], STDOUT_FILENO);
      ::setenv("COUNTERSIGN_SOCKET", socket.c_str(), 1);
      BecomeRoot();
      if (uid != 0 && ::setuid(uid) != 0) ::_exit(126);
      ::execl(program.c_str(), program.c_str(), "--socket", socket.c_str(),
              "chrome-extension://abc/", nullptr);
      ::_exit(127);
    });
    to_ = platform::OwnedHandle(input[1]);
    from_ = platform::OwnedHandle(output[0]);
    ::close(input[0]);
    ::close(output[1]);
  }

  void Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t taken = ::write(to_.get(), bytes.data(), bytes.size());
      ASSERT_GT(taken, 0);
      bytes.remove_prefix(static_cast<size_t>(taken));
    }
  }
  void Send(std::string_view message) { Write(Framed(message)); }

  // The next message; empty at the end of the stream or when none came soon.
  std::string Receive() {
    while (true) {
      auto message = decoder_.Next();
      if (!message.has_value()) return "not a frame";
      if (message->has_value()) return AsString(**message);
      pollfd waiting{from_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, kSoon.count()) <= 0) return {};
      Bytes bytes(64 * 1024);
      const ssize_t size = ::read(from_.get(), bytes.data(), bytes.size());
      if (size <= 0) return {};
      bytes.resize(static_cast<size_t>(size));
      decoder_.Feed(bytes);
    }
  }

  void Close() { to_.Reset(); }
  void StopReading() { from_.Reset(); }
  int Wait() { return child_->Wait(); }

 private:
  std::optional<platform::ForkedChild> child_;
  platform::OwnedHandle to_;
  platform::OwnedHandle from_;
  FrameDecoder decoder_{kMaxClientFrame};
};

// One connection of the daemon's side.
class DaemonEnd {
 public:
  explicit DaemonEnd(LocalConnection connection)
      : connection_(std::move(connection)) {}

  void Greet() { Send("\x1a\x12\x0a\x10" + kNonce); }
  void Send(std::string_view payload) { Write(Framed(payload)); }
  void Write(std::string_view bytes) {
    ASSERT_TRUE(Succeeds(connection_.WriteAll(AsBytes(bytes), kSoon)));
  }
  std::string Receive() {
    while (true) {
      auto frame = decoder_.Next();
      if (!frame.has_value()) return "not a frame";
      if (frame->has_value()) return AsString(**frame);
      const auto received = platform::ReadSoon(connection_);
      if (received.bytes.empty()) return {};
      decoder_.Feed(received.bytes);
    }
  }

 private:
  LocalConnection connection_;
  FrameDecoder decoder_{kMaxClientFrame};
};

class NativeHostTest : public testing::Test {
 protected:
  void Listen() {
    auto listener = LocalListener::Listen(socket_, 0600);
    ASSERT_TRUE(Succeeds(listener));
    listener_.emplace(*std::move(listener));
  }
  DaemonEnd Accept() { return DaemonEnd(platform::AcceptSoon(*listener_)); }
  DaemonEnd AcceptAndGreet() {
    DaemonEnd end = Accept();
    end.Greet();
    return end;
  }
  void Unlisten() { listener_.reset(); }

  platform::TempFolder folder_;
  const std::string socket_ = folder_ / "agent.sock";
  std::optional<LocalListener> listener_;
};

bool IsRefusal(const std::string& message, ErrorCode code) {
  return message.starts_with(
      "{\"error\":{\"number\":" + std::to_string(static_cast<int>(code)) + ",");
}

TEST_F(NativeHostTest, CarriesMessagesBothWaysByteForByte) {
  Listen();
  Host host(socket_);
  const std::string request =
      "{\"request_id\":\"1\",\"x\":\"Ünïcödé 🐟 \\u0000\"}";
  host.Send(request);
  DaemonEnd daemon = AcceptAndGreet();
  EXPECT_EQ(daemon.Receive(), WithItsNonce(request));
  // Not UTF-8 and not even JSON past the brace: not the relay's business.
  const std::string answer("{\xff\x00\xfe raw\r\n", 10);
  daemon.Send(answer);
  EXPECT_EQ(host.Receive(), answer);
}

// A48
TEST_F(NativeHostTest, CarriesMessagesThatArriveByteByByte) {
  Listen();
  Host host(socket_);
  for (const char c : Framed("{\"a\":1}") + Framed("{\"b\":2}")) {
    host.Write({&c, 1});
  }
  DaemonEnd daemon = AcceptAndGreet();
  EXPECT_EQ(daemon.Receive(), WithItsNonce("{\"a\":1}"));
  EXPECT_EQ(daemon.Receive(), WithItsNonce("{\"b\":2}"));
  for (const char c : Framed("{\"c\":3}")) daemon.Write({&c, 1});
  EXPECT_EQ(host.Receive(), "{\"c\":3}");
}

// A48
TEST_F(NativeHostTest, CarriesManyMessagesOfOneWriteInOrder) {
  Listen();
  Host host(socket_);
  std::string all;
  for (int i = 0; i < 500; ++i)
    all += Framed("{\"" + std::to_string(i) + "\"}");
  host.Write(all);
  DaemonEnd daemon = AcceptAndGreet();
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(daemon.Receive(),
              WithItsNonce("{\"" + std::to_string(i) + "\"}"));
  }
  daemon.Write(all);
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(host.Receive(), "{\"" + std::to_string(i) + "\"}");
  }
}

// A48
TEST_F(NativeHostTest, CarriesTheLongestMessagesOfEitherSide) {
  Listen();
  Host host(socket_);
  const std::string request = "{" + std::string(Relay::kMaxMessage - 1, 'q');
  const std::string answer = "{" + std::string(kMaxClientFrame - 1, 'a');
  std::thread browser([&] { host.Send(request); });
  DaemonEnd daemon = AcceptAndGreet();
  const std::string arrived = daemon.Receive();
  browser.join();
  EXPECT_TRUE(arrived == WithItsNonce(request)) << arrived.size();
  std::thread sender([&] { daemon.Send(answer); });
  const std::string returned = host.Receive();
  sender.join();
  EXPECT_TRUE(returned == answer) << returned.size();
}

// A48
TEST_F(NativeHostTest, RefusesAMessageOverTheBoundAndEnds) {
  for (const uint32_t length : {static_cast<uint32_t>(Relay::kMaxMessage + 1),
                                uint32_t{64} << 20, UINT32_MAX}) {
    Host host(socket_);
    std::string header(4, '\0');
    std::memcpy(header.data(), &length, sizeof(length));
    host.Write(header);
    EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kTooLarge)) << length;
    EXPECT_EQ(host.Wait(), 1);
  }
}

// A48
TEST_F(NativeHostTest, RefusesAMessageOfNoLengthAndEnds) {
  Host host(socket_);
  host.Write(std::string(4, '\0'));
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kFrameMalformed));
  EXPECT_EQ(host.Wait(), 1);
}

// A48
TEST_F(NativeHostTest, EndsWithoutAWordWhenAMessageIsCut) {
  for (const std::string& cut :
       {std::string("\x05"), std::string("\x05\0\0", 3),
        Framed("{\"a\":1}").substr(0, 9)}) {
    Host host(socket_);
    host.Write(cut);
    host.Close();
    EXPECT_EQ(host.Receive(), "");
    EXPECT_EQ(host.Wait(), 1);
  }
}

TEST_F(NativeHostTest, EndsAtOnceWhenTheBrowserIsDone) {
  Listen();
  Host host(socket_);
  host.Send("{\"a\":1}");
  DaemonEnd daemon = AcceptAndGreet();
  EXPECT_EQ(daemon.Receive(), WithItsNonce("{\"a\":1}"));
  const auto start = std::chrono::steady_clock::now();
  host.Close();
  EXPECT_EQ(host.Wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_EQ(daemon.Receive(), "");  // And its connection went with it.
}

TEST_F(NativeHostTest, EndsWhenTheBrowserNoLongerReads) {
  Host host(socket_);
  host.StopReading();
  EXPECT_EQ(host.Wait(), 0);
}

// A48
TEST_F(NativeHostTest, RefusesWhatIsNotAnObjectAndGoesOn) {
  Listen();
  Host host(socket_);
  host.Send("\"text\"");
  DaemonEnd daemon = AcceptAndGreet();
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kBadRequest));
  host.Send("\x0a\x02");  // As protobuf it would be an empty request.
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kBadRequest));
  host.Send("{\"a\":1}");
  EXPECT_EQ(daemon.Receive(), WithItsNonce("{\"a\":1}"));
}

TEST_F(NativeHostTest, AnswersEachMessageWhileTheDaemonIsDown) {
  Host host(socket_);
  for (int i = 0; i < 3; ++i) {
    host.Send("{\"a\":1}");
    EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kDaemonNotRunning));
  }
}

// A47
TEST_F(NativeHostTest, IsNotLedToAnotherSocketByAUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to act as another account";
  Listen();
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(socket_.c_str(), 0666), 0);
  Host host(socket_, kNobody);
  host.Send("{\"a\":1}");
  // From the machine's own, if it has one, or that there is none.
  EXPECT_NE(host.Receive(), "");
  pollfd waiting{listener_->handle(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
}

TEST_F(NativeHostTest, RecoversWhenTheDaemonComesBack) {
  Listen();
  Host host(socket_);
  host.Send("{\"a\":1}");
  {
    DaemonEnd daemon = AcceptAndGreet();
    EXPECT_EQ(daemon.Receive(), WithItsNonce("{\"a\":1}"));
    Unlisten();
  }
  // One refusal for all that had no answer yet.
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kDaemonNotRunning));
  host.Send("{\"b\":2}");
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kDaemonNotRunning));
  Listen();
  host.Send("{\"c\":3}");
  DaemonEnd daemon = AcceptAndGreet();
  EXPECT_EQ(daemon.Receive(), WithItsNonce("{\"c\":3}"));
  daemon.Send("{\"d\":4}");
  EXPECT_EQ(host.Receive(), "{\"d\":4}");
}

TEST_F(NativeHostTest, GivesUpOnADaemonThatDoesNotGreet) {
  Listen();
  Host host(socket_);
  host.Send("{\"a\":1}");
  DaemonEnd silent = Accept();
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kTimeout));
  host.Send("{\"b\":2}");
  DaemonEnd daemon = AcceptAndGreet();
  EXPECT_EQ(daemon.Receive(), WithItsNonce("{\"b\":2}"));
}

TEST_F(NativeHostTest, NeverPassesOnWhatABrowserCouldNotRead) {
  Listen();
  Host host(socket_);
  host.Send("{\"a\":1}");
  DaemonEnd daemon = AcceptAndGreet();
  daemon.Send("\x12\x02 a refusal in protobuf");
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kFrameMalformed));
}

TEST_F(NativeHostTest, SaysThatTheDaemonRefusesTheConnection) {
  Listen();
  Host host(socket_);
  host.Send("{\"a\":1}");
  DaemonEnd daemon = Accept();
  daemon.Send("\x12\x02\x08\x04");
  EXPECT_TRUE(IsRefusal(host.Receive(), ErrorCode::kBusy));
}

TEST_F(NativeHostTest, HoldsUpADaemonWhoseAnswersNobodyReads) {
  Listen();
  Host host(socket_);
  host.Send("{\"a\":1}");
  auto connection = platform::AcceptSoon(*listener_);
  Bytes frames;
  AppendFrame(AsBytes("\x1a\x12\x0a\x10" + kNonce), frames);
  const Bytes answer(64 * 1024, '{');
  for (int i = 0; i < 256; ++i) AppendFrame(answer, frames);  // 16 MiB
  size_t taken = 0;
  for (int quiet = 0; quiet < 20 && taken < frames.size();) {
    const auto now = connection.Write(ByteSpan(frames).subspan(taken));
    ASSERT_TRUE(Succeeds(now));
    taken += *now;
    quiet = *now == 0 ? quiet + 1 : 0;
    if (*now == 0) ::usleep(10'000);
  }
  EXPECT_LT(taken, size_t{4} << 20);
  // And not one byte is lost once it is read.
  std::thread daemon([&] {
    const auto rest = ByteSpan(frames).subspan(taken);
    EXPECT_TRUE(Succeeds(connection.WriteAll(rest, kSoon)));
  });
  for (int i = 0; i < 256; ++i) {
    ASSERT_TRUE(host.Receive() == AsString(answer)) << i;
  }
  daemon.join();
}

TEST_F(NativeHostTest, LinksNeitherOpenSslNorATpmStack) {
  const std::string command = "ldd " + HostProgram();
  FILE* ldd = ::popen(command.c_str(), "r");
  ASSERT_NE(ldd, nullptr);
  std::string libraries(64 * 1024, '\0');
  libraries.resize(::fread(libraries.data(), 1, libraries.size(), ldd));
  EXPECT_EQ(::pclose(ldd), 0);
  EXPECT_THAT(libraries, testing::HasSubstr("libc.so"));
  for (const char* banned :
       {"libcrypto", "libssl", "libtss2", "libprotobuf", "libsqlite"}) {
    EXPECT_THAT(libraries, testing::Not(testing::HasSubstr(banned)));
  }
}

}  // namespace
}  // namespace countersign::agent
