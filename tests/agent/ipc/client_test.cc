#include "agent/ipc/client.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/agent/ipc/echo_server.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ClientTest, EchoesTheNonceAndGetsItsAnswer) {
  std::string nonce;
  EchoServer server(
      {}, [&](Server& s, ConnectionId id, v1::Request request, const Frame&) {
        nonce = request.nonce();
        EchoServer::Echo(s, id, request);
      });
  auto client = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(client));
  const auto response = client->Call(StatusAsk(), seconds(5));
  ASSERT_TRUE(Succeeds(response));
  EXPECT_EQ(response->status().version(), "v");
  EXPECT_EQ(nonce, "sixteen bytes...");
}

TEST(ClientTest, SaysThatTheDaemonIsNotRunning) {
  EXPECT_TRUE(FailsWith(Client::Connect("/tmp/no-such-socket", seconds(1)),
                        ErrorCode::kDaemonNotRunning));
}

TEST(ClientTest, GivesUpOnADaemonThatDoesNotAnswer) {
  EchoServer server(
      {}, [](Server&, ConnectionId, const v1::Request&, const Frame&) {});
  auto client = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(client));
  EXPECT_TRUE(FailsWith(client->Call(StatusAsk(), milliseconds(50)),
                        ErrorCode::kTimeout));
}

TEST(ClientTest, SaysThatTheDaemonWentAway) {
  EchoServer server({}, [](Server& s, ConnectionId id, const v1::Request&,
                           const Frame&) { s.Close(id); });
  auto client = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(client));
  EXPECT_TRUE(FailsWith(client->Call(StatusAsk(), seconds(5)),
                        ErrorCode::kDaemonNotRunning));
}

TEST(ClientTest, ReturnsAnErrorOfTheDaemonAsOne) {
  EchoServer server({}, [](Server& s, ConnectionId id,
                           const v1::Request& request, const Frame&) {
    v1::Response response;
    response.set_request_id(request.request_id());
    *response.mutable_error() = ToErrorInfo({ErrorCode::kLeaseStale, "x"});
    s.Reply(id, *EncodeResponse(response, Encoding::kProtobuf));
  });
  auto client = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(client));
  EXPECT_TRUE(
      FailsWith(client->Call(StatusAsk(), seconds(5)), ErrorCode::kLeaseStale));
}

TEST(ClientTest, SkipsEventsWhileItWaitsForItsAnswer) {
  EchoServer server({}, [](Server& s, ConnectionId id,
                           const v1::Request& request, const Frame&) {
    v1::Response event;
    event.set_request_id(request.request_id());
    event.mutable_event()->set_kind("decision");
    s.Push(id, *EncodeResponse(event, Encoding::kProtobuf));
    EchoServer::Echo(s, id, request);
  });
  auto client = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(client));
  const auto response = client->Call(StatusAsk(), seconds(5));
  ASSERT_TRUE(Succeeds(response));
  EXPECT_TRUE(response->has_status());
}

TEST(ClientTest, PassesAProcess) {
  size_t processes = 0;
  EchoServer server({}, [&](Server& s, ConnectionId id,
                            const v1::Request& request, const Frame& frame) {
    processes = frame.processes.size();
    EchoServer::Echo(s, id, request);
  });
  auto client = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(client));
  const platform::OwnedHandle self(
      static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  ASSERT_TRUE(self.valid());
  ASSERT_TRUE(Succeeds(client->Call(StatusAsk(), seconds(5), self.get())));
  EXPECT_EQ(processes, 1u);
}

}  // namespace
}  // namespace countersign::agent
