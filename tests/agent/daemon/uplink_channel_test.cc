#include "agent/daemon/uplink_channel.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "agent/ipc/messages.h"
#include "tests/agent/loop_thread.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

using platform::LocalConnection;
using std::chrono::milliseconds;
using std::chrono::seconds;

class UplinkChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/countersign-uplink-XXXXXX";
    folder_ = ::mkdtemp(name);
    Make(::geteuid());
  }
  void TearDown() override {
    thread_.Sync([this] { channel_.reset(); });
    std::filesystem::remove_all(folder_);
  }
  void Make(uint32_t uid) {
    thread_.Sync([&] {
      channel_.reset();
      channel_ =
          std::make_unique<UplinkChannel>(thread_.loop(), uid, [](bool) {});
      ASSERT_TRUE(Succeeds(channel_->Listen(
          *platform::LocalListener::Listen(folder_ + "/socket", 0666))));
    });
  }
  LocalConnection Connect() {
    return *LocalConnection::Connect(folder_ + "/socket", seconds(5));
  }
  bool Connected() {
    bool connected = false;
    thread_.Sync([&] { connected = channel_->connected(); });
    return connected;
  }
  void WaitUntilConnected() {
    while (!Connected()) std::this_thread::sleep_for(milliseconds(1));
  }
  std::future<Result<v1::UplinkResponse>> Call(uint32_t timeout_ms = 5'000) {
    auto promise = std::make_shared<std::promise<Result<v1::UplinkResponse>>>();
    thread_.Sync([&] {
      v1::UplinkRequest request;
      request.set_path("/v1/test");
      request.set_timeout_ms(timeout_ms);
      channel_->Call(request, [promise](Result<v1::UplinkResponse> result) {
        promise->set_value(std::move(result));
      });
    });
    return promise->get_future();
  }
  // The next request that the daemon sends; or what it refuses with.
  static v1::UplinkRequest ReadRequest(LocalConnection& connection) {
    v1::UplinkRequest request;
    EXPECT_TRUE(request.ParseFromString(ReadFrame(connection)));
    return request;
  }
  static std::string ReadFrame(LocalConnection& connection) {
    FrameDecoder decoder(kMaxUplinkFrame);
    while (true) {
      if (!connection.WaitReadable(seconds(5)).has_value()) return {};
      const auto received = connection.Read(65536);
      if (!received.has_value() || (*received)->bytes.empty()) return {};
      decoder.Feed((*received)->bytes);
      const auto payload = decoder.Next();
      if (payload.has_value() && payload->has_value()) {
        return AsString(**payload);
      }
    }
  }
  static void Answer(LocalConnection& connection, uint64_t id,
                     const std::string& body) {
    v1::UplinkResponse response;
    response.set_id(id);
    response.set_http_status(200);
    response.set_body(body);
    Bytes frame;
    AppendFrame(AsBytes(response.SerializeAsString()), frame);
    ASSERT_TRUE(Succeeds(connection.WriteAll(frame, seconds(5))));
  }

  std::string folder_;
  LoopThread thread_;
  std::unique_ptr<UplinkChannel> channel_;
};

TEST_F(UplinkChannelTest, MatchesAnswersToRequestsInAnyOrder) {
  LocalConnection uplink = Connect();
  WaitUntilConnected();
  auto first = Call();
  const uint64_t first_id = ReadRequest(uplink).id();
  auto second = Call();
  const uint64_t second_id = ReadRequest(uplink).id();
  EXPECT_NE(first_id, second_id);
  Answer(uplink, second_id, "two");
  Answer(uplink, 999, "nobody asked");
  Answer(uplink, first_id, "one");
  EXPECT_EQ(first.get()->body(), "one");
  EXPECT_EQ(second.get()->body(), "two");
}

TEST_F(UplinkChannelTest, SaysAtOnceThatThereIsNoUplink) {
  EXPECT_TRUE(FailsWith(Call().get(), ErrorCode::kUplinkDown));
}

TEST_F(UplinkChannelTest, FailsWhatWaitsWhenTheUplinkGoes) {
  std::optional<LocalConnection> uplink = Connect();
  WaitUntilConnected();
  auto call = Call();
  uplink.reset();
  EXPECT_TRUE(FailsWith(call.get(), ErrorCode::kUplinkDown));
  EXPECT_FALSE(Connected());
  LocalConnection again = Connect();
  WaitUntilConnected();
}

TEST_F(UplinkChannelTest, GivesUpOnAnUplinkThatHangs) {
  LocalConnection uplink = Connect();
  WaitUntilConnected();
  EXPECT_TRUE(FailsWith(Call(50).get(), ErrorCode::kTimeout));
}

TEST_F(UplinkChannelTest, RejectsAnotherUsersProcess) {
  Make(::geteuid() + 1);
  LocalConnection stranger = Connect();
  v1::UplinkResponse refusal;
  ASSERT_TRUE(refusal.ParseFromString(ReadFrame(stranger)));
  EXPECT_EQ(refusal.error().reason(), "unauthorized");
  EXPECT_FALSE(Connected());
}

TEST_F(UplinkChannelTest, RejectsASecondUplinkWhileOneIsThere) {
  LocalConnection uplink = Connect();
  WaitUntilConnected();
  LocalConnection second = Connect();
  v1::UplinkResponse refusal;
  ASSERT_TRUE(refusal.ParseFromString(ReadFrame(second)));
  EXPECT_EQ(refusal.error().reason(), "already_running");
  auto call = Call();
  Answer(uplink, ReadRequest(uplink).id(), "the first still works");
  EXPECT_TRUE(Succeeds(call.get()));
}

TEST_F(UplinkChannelTest, DropsAnUplinkThatTalksNonsense) {
  LocalConnection uplink = Connect();
  WaitUntilConnected();
  auto call = Call();
  Bytes frame;
  AppendFrame(Bytes{0xff, 0xff, 0xff}, frame);
  ASSERT_TRUE(Succeeds(uplink.WriteAll(frame, seconds(5))));
  EXPECT_TRUE(FailsWith(call.get(), ErrorCode::kUplinkDown));
}

TEST_F(UplinkChannelTest, CarriesAnAnswerOfEightMegabytes) {
  LocalConnection uplink = Connect();
  WaitUntilConnected();
  auto call = Call();
  Answer(uplink, ReadRequest(uplink).id(),
         std::string(kMaxUplinkFrame - 64, 'x'));
  const auto response = call.get();
  ASSERT_TRUE(Succeeds(response));
  EXPECT_EQ(response->body().size(), kMaxUplinkFrame - 64);
}

}  // namespace
}  // namespace countersign::agent
