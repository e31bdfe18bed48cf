#include "agent/uplink/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "agent/ipc/frame.h"
#include "tests/agent/uplink/test_server.h"

namespace countersign::agent {
namespace {

using platform::LocalConnection;
using platform::LocalListener;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = "/tmp/countersign-channel-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string socket() const { return path_ + "/uplink.sock"; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The daemon's end, blocking.
class Daemon {
 public:
  explicit Daemon(const std::string& path)
      : listener_(LocalListener::Listen(path, 0600).value()) {}

  void Accept() {
    for (int i = 0; i < 500; ++i) {
      auto accepted = listener_.Accept();
      ASSERT_TRUE(accepted.has_value());
      if (accepted->has_value()) {
        connection_.emplace(**std::move(accepted));
        decoder_.emplace(kMaxUplinkFrame);
        return;
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
    FAIL() << "the uplink does not connect";
  }
  void SendFrame(ByteSpan payload) {
    Bytes frame;
    AppendFrame(payload, frame);
    ASSERT_TRUE(connection_->WriteAll(frame, seconds(5)).has_value());
  }
  void Send(const v1::UplinkRequest& request) {
    SendFrame(AsBytes(request.SerializeAsString()));
  }
  v1::UplinkResponse Receive() {
    v1::UplinkResponse response;
    while (true) {
      auto payload = decoder_->Next();
      if (!payload.has_value()) break;
      if (payload->has_value()) {
        response.ParseFromArray((*payload)->data(),
                                static_cast<int>((*payload)->size()));
        return response;
      }
      if (!connection_->WaitReadable(seconds(10)).has_value()) break;
      const auto received = connection_->Read(1 << 20);
      if (!received.has_value()) break;
      if (!received->has_value()) continue;
      if ((*received)->bytes.empty()) break;
      decoder_->Feed((*received)->bytes);
    }
    ADD_FAILURE() << "no response";
    return response;
  }
  // The other end has closed within some seconds.
  bool SeesClose() {
    while (connection_->WaitReadable(seconds(10)).has_value()) {
      const auto received = connection_->Read(4096);
      if (!received.has_value()) return true;
      if (received->has_value() && (*received)->bytes.empty()) return true;
    }
    return false;
  }
  void Hangup() { connection_.reset(); }

 private:
  LocalListener listener_;
  std::optional<LocalConnection> connection_;
  std::optional<FrameDecoder> decoder_;
};

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest() : ca_(MakeCa("Test CA")), leaf_(MakeLeaf(ca_)) {
    options_.socket = folder_.socket();
    options_.transport.ca_pem = ca_.Pem();
    options_.first_retry = milliseconds(10);
    options_.last_retry = milliseconds(80);
  }
  ~ChannelTest() override {
    if (!thread_.joinable()) return;
    loop_->Stop();
    thread_.join();
    channel_.reset();
  }

  void Start() {
    loop_ = platform::EventLoop::Create().value();
    channel_ = std::make_unique<Channel>(*loop_, options_,
                                         [this](const std::string& line) {
                                           const std::lock_guard lock(mutex_);
                                           report_ += line + "\n";
                                         });
    thread_ = std::thread([this] {
      channel_->Start();
      loop_->Run();
    });
  }
  v1::UplinkRequest Request(uint64_t id, const std::string& lane,
                            const TestServer& server) {
    v1::UplinkRequest request;
    request.set_id(id);
    request.set_lane(lane);
    request.set_path("/v1/" + lane);
    request.set_body("body");
    request.set_timeout_ms(8000);
    request.set_service(server.url());
    return request;
  }
  std::string report() {
    const std::lock_guard lock(mutex_);
    return report_;
  }
  // Waits until what was reported says so.
  bool Reported(const std::string& text) {
    for (int i = 0; i < 500; ++i) {
      if (report().find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }

  TemporaryFolder folder_;
  Certificate ca_;
  Certificate leaf_;
  ChannelOptions options_;
  std::mutex mutex_;
  std::string report_;
  std::unique_ptr<platform::EventLoop> loop_;
  std::unique_ptr<Channel> channel_;
  std::thread thread_;
};

void Echo(Peer& peer) {
  while (!peer.ReadRequest().empty()) {
    peer.Answer("200 OK", "application/x-protobuf", "answer");
  }
}

TEST_F(ChannelTest, CarriesARequestAndItsAnswer) {
  TestServer server(leaf_, Echo);
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  daemon.Send(Request(41, "control", server));
  const v1::UplinkResponse response = daemon.Receive();
  EXPECT_EQ(response.id(), 41u);
  EXPECT_EQ(response.http_status(), 200u);
  EXPECT_EQ(response.body(), "answer");
  EXPECT_EQ(response.tls_exporter().size(), 32u);
}

TEST_F(ChannelTest, LanesDoNotWaitForEachOther) {
  std::atomic<bool> release = false;
  TestServer server(leaf_, [&](Peer& peer) {
    std::string request;
    while (!(request = peer.ReadRequest()).empty()) {
      const bool slow = request.starts_with("POST /v1/control");
      while (slow && !release) std::this_thread::sleep_for(milliseconds(5));
      peer.Answer("200 OK", "application/x-protobuf", "answer");
    }
  });
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  daemon.Send(Request(1, "control", server));
  daemon.Send(Request(2, "actions", server));
  EXPECT_EQ(daemon.Receive().id(), 2u);
  release = true;
  EXPECT_EQ(daemon.Receive().id(), 1u);
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ChannelTest, KeepsTheOrderAndOneConnectionOfALane) {
  TestServer server(leaf_, Echo);
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  for (uint64_t id = 1; id <= 20; ++id) {
    daemon.Send(Request(id, "actions", server));
  }
  for (uint64_t id = 1; id <= 20; ++id) {
    EXPECT_EQ(daemon.Receive().id(), id);
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ChannelTest, RenewsItsSettingsWithoutTheDaemonNoticing) {  // F29
  std::atomic<bool> begun = false;
  std::atomic<bool> release = false;
  TestServer server(leaf_, [&](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
      begun = true;
      while (!release) std::this_thread::sleep_for(milliseconds(5));
      peer.Answer("200 OK", "application/x-protobuf", "answer");
    }
  });
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  daemon.Send(Request(1, "control", server));
  while (!begun) std::this_thread::sleep_for(milliseconds(5));
  TransportSettings stranger;
  stranger.ca_pem = MakeCa("Another CA").Pem();
  std::promise<Status> renewed;
  loop_->Post([&] { renewed.set_value(channel_->Renew(stranger)); });
  EXPECT_TRUE(renewed.get_future().get().has_value());
  release = true;
  // What was under way ends as it began; what comes after meets the new CA.
  EXPECT_EQ(daemon.Receive().body(), "answer");
  daemon.Send(Request(2, "control", server));
  EXPECT_EQ(daemon.Receive().error().reason(), "tls_failed");
  daemon.Send(Request(3, "actions", server));
  EXPECT_EQ(daemon.Receive().error().reason(), "tls_failed");
}

TEST_F(ChannelTest, RefusesWhatAFullLaneCannotHold) {
  options_.lane_capacity = 2;
  std::atomic<bool> release = false;
  TestServer server(leaf_, [&](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
      while (!release) std::this_thread::sleep_for(milliseconds(5));
      peer.Answer("200 OK", "application/x-protobuf", "answer");
    }
  });
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  for (uint64_t id = 1; id <= 9; ++id) {
    daemon.Send(Request(id, "actions", server));
  }
  const v1::UplinkResponse refused = daemon.Receive();
  EXPECT_EQ(refused.error().reason(), "busy");
  release = true;
}

TEST_F(ChannelTest, CountsTheWaitAgainstTheTimeout) {
  TestServer server(leaf_, [&](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
      std::this_thread::sleep_for(milliseconds(400));
      peer.Answer("200 OK", "application/x-protobuf", "answer");
    }
  });
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  daemon.Send(Request(1, "actions", server));
  v1::UplinkRequest hasty = Request(2, "actions", server);
  hasty.set_timeout_ms(100);
  daemon.Send(hasty);
  EXPECT_EQ(daemon.Receive().body(), "answer");
  const v1::UplinkResponse late = daemon.Receive();
  EXPECT_EQ(late.id(), 2u);
  EXPECT_EQ(late.error().reason(), "timeout");
}

TEST_F(ChannelTest, RefusesAnUnknownLane) {
  TestServer server(leaf_, Echo);
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  daemon.Send(Request(5, "express", server));
  const v1::UplinkResponse response = daemon.Receive();
  EXPECT_EQ(response.id(), 5u);
  EXPECT_EQ(response.error().reason(), "bad_request");
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(ChannelTest, WaitsForADaemonThatIsAway) {
  TestServer server(leaf_, Echo);
  Start();
  EXPECT_TRUE(Reported("daemon: daemon_not_running"));
  Daemon daemon(folder_.socket());
  daemon.Accept();
  daemon.Send(Request(1, "control", server));
  EXPECT_EQ(daemon.Receive().body(), "answer");
  EXPECT_TRUE(Reported("daemon: connected"));
}

TEST_F(ChannelTest, ComesBackToADaemonThatRestarts) {
  TestServer server(leaf_, Echo);
  {
    Daemon daemon(folder_.socket());
    Start();
    daemon.Accept();
  }
  Daemon daemon(folder_.socket());
  daemon.Accept();
  daemon.Send(Request(1, "control", server));
  EXPECT_EQ(daemon.Receive().id(), 1u);
}

TEST_F(ChannelTest, GivesUpWhatWasUnderWayForADaemonThatWent) {
  std::atomic<bool> begun = false;
  std::atomic<bool> ended = false;
  TestServer server(leaf_, [&](Peer& peer) {
    begun = !peer.ReadRequest().empty();
    ended = peer.ReadRequest().empty();  // The uplink breaks off.
  });
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  daemon.Send(Request(1, "control", server));
  while (!begun) std::this_thread::sleep_for(milliseconds(5));
  daemon.Hangup();
  daemon.Accept();  // A new connection: the old lanes are gone.
  for (int i = 0; i < 300 && !ended; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_TRUE(ended);
}

TEST_F(ChannelTest, BreaksOffWhenFramesMakeNoSense) {
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  daemon.SendFrame(AsBytes("\xff\xff\xff\xff\xff"));
  EXPECT_TRUE(daemon.SeesClose());
  EXPECT_TRUE(Reported("frame_malformed"));
}

TEST_F(ChannelTest, ReportsWhyTheDaemonDoesNotWantIt) {
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  v1::UplinkResponse refusal;
  refusal.mutable_error()->set_number(
      static_cast<uint32_t>(ErrorCode::kUnauthorized));
  refusal.mutable_error()->set_detail("only uid 7 may be the uplink");
  daemon.SendFrame(AsBytes(refusal.SerializeAsString()));
  EXPECT_TRUE(daemon.SeesClose());
  EXPECT_TRUE(Reported("unauthorized: only uid 7 may be the uplink"));
}

TEST_F(ChannelTest, ReportsAFailingLaneOnceAndItsRecovery) {
  std::atomic<bool> broken = true;
  TestServer server(leaf_, [&](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
      if (broken) return peer.Reset();
      peer.Answer("200 OK", "application/x-protobuf", "answer");
    }
  });
  Daemon daemon(folder_.socket());
  Start();
  daemon.Accept();
  for (uint64_t id = 1; id <= 3; ++id) {
    daemon.Send(Request(id, "actions", server));
    EXPECT_EQ(daemon.Receive().error().reason(), "service_unreachable");
  }
  broken = false;
  daemon.Send(Request(4, "actions", server));
  EXPECT_EQ(daemon.Receive().body(), "answer");
  EXPECT_TRUE(Reported("lane actions: working"));
  const std::string text = report();
  const std::string failure = "lane actions: service_unreachable";
  EXPECT_EQ(text.find(failure), text.rfind(failure));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("body")));
}

TEST(CheckListenerTest, AcceptsTheOwnerOfTheFolder) {
  const TemporaryFolder folder;
  Daemon daemon(folder.socket());
  const auto connection = LocalConnection::Connect(folder.socket(), seconds(1));
  ASSERT_TRUE(connection.has_value());
  EXPECT_TRUE(CheckListener(folder.socket(), *connection).has_value());
}

TEST(CheckListenerTest, RejectsASocketThatAnotherAccountPutThere) {  // A46
  if (geteuid() != 0) GTEST_SKIP() << "needs root to act as another account";
  const TemporaryFolder folder;
  chmod(folder.path().c_str(), 01777);
  const pid_t stranger = fork();
  if (stranger == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
    const auto listener = LocalListener::Listen(folder.socket(), 0666);
    if (!listener.has_value()) _exit(2);
    pause();
    _exit(0);
  }
  auto connection = LocalConnection::Connect(folder.socket(), seconds(1));
  for (int i = 0; i < 300 && !connection.has_value(); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    connection = LocalConnection::Connect(folder.socket(), seconds(1));
  }
  ASSERT_TRUE(connection.has_value());
  const Status status = CheckListener(folder.socket(), *connection);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kUnsafePath);
  EXPECT_THAT(status.error().detail, HasSubstr("uid 65534"));
  kill(stranger, SIGKILL);
  waitpid(stranger, nullptr, 0);
}

}  // namespace
}  // namespace countersign::agent
