#include "agent/ipc/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/ipc/client.h"
#include "platform/host.h"
#include "tests/agent/ipc/echo_server.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

using platform::LocalConnection;
using std::chrono::milliseconds;
using std::chrono::seconds;

LocalConnection ConnectRaw(const EchoServer& server) {
  auto connection = LocalConnection::Connect(server.path(), seconds(5));
  if (!connection.has_value()) std::abort();
  return *std::move(connection);
}

// What arrives until the server closes.
Result<v1::Response> ReadUntilError(LocalConnection& connection) {
  FrameDecoder decoder(kMaxClientFrame);
  while (true) {
    CS_RETURN_IF_ERROR(connection.WaitReadable(seconds(5)));
    CS_ASSIGN_OR_RETURN(const auto received, connection.Read(64 * 1024));
    if (!received.has_value()) continue;
    if (received->bytes.empty()) return Fail(ErrorCode::kPeerGone);
    decoder.Feed(received->bytes);
    while (true) {
      CS_ASSIGN_OR_RETURN(const auto payload, decoder.Next());
      if (!payload.has_value()) break;
      CS_ASSIGN_OR_RETURN(v1::Response response, DecodeResponse(*payload));
      if (response.has_error()) return response;
    }
  }
}

bool WaitFor(const std::function<bool()>& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

TEST(ServerTest, ServesAThousandClientsAtOnce) {
  platform::RaiseHandleLimit();
  EchoServer server;
  std::vector<Client> clients;
  for (int i = 0; i < 1000; ++i) {
    auto client = Client::Connect(server.path(), seconds(10));
    ASSERT_TRUE(Succeeds(client)) << i;
    clients.push_back(*std::move(client));
  }
  for (Client& client : clients) {
    ASSERT_TRUE(Succeeds(client.Send(StatusAsk(), seconds(10))));
  }
  for (Client& client : clients) {
    const auto response = client.Receive(seconds(10));
    ASSERT_TRUE(Succeeds(response));
    EXPECT_TRUE(response->has_status());
  }
}

// What is checked of a peer once a read must never stand for a later one.
TEST(ServerTest, SaysWhichFramesArrivedTogether) {
  std::vector<uint64_t> reads;
  EchoServer server({}, [&](Server& s, ConnectionId id, v1::Request request,
                            const Frame& frame) {
    reads.push_back(frame.read);
    EchoServer::Echo(s, id, request);
  });
  auto connection = ConnectRaw(server);
  const auto payload = EncodeRequest(StatusAsk(), Encoding::kProtobuf);
  ASSERT_TRUE(Succeeds(payload));
  Bytes frame;
  AppendFrame(*payload, frame);
  Bytes two = frame;
  two.insert(two.end(), frame.begin(), frame.end());
  const auto seen = [&] {
    std::vector<uint64_t> copy;
    server.thread().Sync([&] { copy = reads; });
    return copy;
  };
  ASSERT_TRUE(Succeeds(connection.WriteAll(two, seconds(5))));
  ASSERT_TRUE(WaitFor([&] { return seen().size() == 2; }));
  ASSERT_TRUE(Succeeds(connection.WriteAll(frame, seconds(5))));
  ASSERT_TRUE(WaitFor([&] { return seen().size() == 3; }));
  const auto all = seen();
  EXPECT_NE(all[0], 0u);
  EXPECT_EQ(all[0], all[1]);
  EXPECT_NE(all[1], all[2]);
}

// A49
TEST(ServerTest, DisconnectsAClientThatNeverReadsAndServesTheOthers) {
  ServerLimits limits;
  limits.write_buffer = 256 * 1024;
  EchoServer server(
      limits, [](Server& s, ConnectionId id, const v1::Request& request,
                 const Frame&) { EchoServer::Echo(s, id, request, 60'000); });
  auto deaf = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(deaf));
  for (int i = 0; i < 100; ++i) {
    if (!deaf->Send(StatusAsk(), seconds(1)).has_value()) break;
  }
  auto other = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(other));
  EXPECT_TRUE(Succeeds(other->Call(StatusAsk(), seconds(5))));
  EXPECT_TRUE(WaitFor([&] { return server.closed() == 1; }));
  EXPECT_TRUE(Succeeds(other->Call(StatusAsk(), seconds(5))));
}

// A49
TEST(ServerTest, DisconnectsAClientThatStopsReadingWithLittleToRead) {
  ServerLimits limits;
  limits.stall_timeout = milliseconds(100);
  EchoServer server(
      limits, [](Server& s, ConnectionId id, const v1::Request& request,
                 const Frame&) { EchoServer::Echo(s, id, request, 900'000); });
  auto deaf = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(deaf));
  ASSERT_TRUE(Succeeds(deaf->Send(StatusAsk(), seconds(5))));
  EXPECT_TRUE(WaitFor([&] { return server.closed() == 1; }));
}

// A49
TEST(ServerTest, CutsOffAFrameThatStaysHalf) {
  ServerLimits limits;
  limits.stall_timeout = milliseconds(100);
  EchoServer server(limits);
  LocalConnection half = ConnectRaw(server);
  ASSERT_TRUE(Succeeds(half.WriteAll(Bytes{9, 0, 0, 0, 1}, seconds(5))));
  auto idle = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(idle));
  EXPECT_TRUE(WaitFor([&] { return server.closed() == 1; }));
  // One that is merely idle stays.
  EXPECT_TRUE(Succeeds(idle->Call(StatusAsk(), seconds(5))));
}

// A49
TEST(ServerTest, MarksWhatIsOverAProcesssQuotaAndFreesItWithEachAnswer) {
  ServerLimits limits;
  limits.outstanding_per_peer = 2;
  std::vector<std::pair<ConnectionId, v1::Request>> held;
  EchoServer server(
      limits, [&](Server&, ConnectionId id, v1::Request request, const Frame&) {
        held.emplace_back(id, std::move(request));
      });
  // Two connections of one process share its quota.
  auto one = Client::Connect(server.path(), seconds(5));
  auto two = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(one) && Succeeds(two));
  ASSERT_TRUE(Succeeds(one->Send(StatusAsk(), seconds(5))));
  ASSERT_TRUE(Succeeds(one->Send(StatusAsk(), seconds(5))));
  EXPECT_TRUE(WaitFor([&] {
    size_t count = 0;
    server.thread().Sync([&] { count = held.size(); });
    return count == 2;
  }));
  EXPECT_TRUE(FailsWith(two->Call(StatusAsk(), seconds(5)), ErrorCode::kBusy));
  server.thread().Sync([&] {
    EchoServer::Echo(server.server(), held[0].first, held[0].second);
    EchoServer::Echo(server.server(), held[1].first, held[1].second);
    held.clear();
  });
  ASSERT_TRUE(Succeeds(two->Send(StatusAsk(), seconds(5))));
  EXPECT_TRUE(WaitFor([&] {
    size_t count = 0;
    server.thread().Sync([&] { count = held.size(); });
    return count == 1;
  }));
}

// A48
TEST(ServerTest, RefusesAnOversizedFrameAndCloses) {
  EchoServer server;
  LocalConnection raw = ConnectRaw(server);
  ASSERT_TRUE(Succeeds(
      raw.WriteAll(Bytes{0xff, 0xff, 0xff, 0xff, 1, 2, 3}, seconds(5))));
  const auto response = ReadUntilError(raw);
  ASSERT_TRUE(Succeeds(response));
  EXPECT_EQ(response->error().reason(), "too_large");
  EXPECT_TRUE(FailsWith(ReadUntilError(raw), ErrorCode::kPeerGone));
}

// A48
TEST(ServerTest, ForgetsAFrameThatIsCutByTheEnd) {
  EchoServer server;
  {
    LocalConnection raw = ConnectRaw(server);
    ASSERT_TRUE(Succeeds(raw.WriteAll(Bytes{9, 0, 0, 0, 1}, seconds(5))));
  }
  EXPECT_TRUE(WaitFor([&] { return server.closed() == 1; }));
}

TEST(ServerTest, RefusesAUsersConnectionsOverTheLimit) {
  ServerLimits limits;
  limits.connections_per_uid = 2;
  EchoServer server(limits);
  auto one = Client::Connect(server.path(), seconds(5));
  auto two = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(one) && Succeeds(two));
  EXPECT_TRUE(
      FailsWith(Client::Connect(server.path(), seconds(5)), ErrorCode::kBusy));
}

TEST(ServerTest, LetsConnectionsOverTheTableWaitForRoom) {
  ServerLimits limits;
  limits.connections = 1;
  EchoServer server(limits);
  std::optional<Client> first = *Client::Connect(server.path(), seconds(5));
  EXPECT_TRUE(FailsWith(Client::Connect(server.path(), milliseconds(100)),
                        ErrorCode::kTimeout));
  first.reset();
  EXPECT_TRUE(Succeeds(Client::Connect(server.path(), seconds(5))));
}

// F08
TEST(ServerTest, PausesAcceptingWhenDescriptorsRunOut) {
  EchoServer server;
  auto early = Client::Connect(server.path(), seconds(5));
  ASSERT_TRUE(Succeeds(early));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // Room for the client's end of the next connection and for no other.
  std::vector<platform::OwnedHandle> fill;
  rlimit small = before;
  small.rlim_cur = 256;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &small), 0);
  while (true) {
    platform::OwnedHandle handle(::dup(0));
    if (!handle.valid()) break;
    fill.push_back(std::move(handle));
  }
  fill.pop_back();
  auto late = LocalConnection::Connect(server.path(), seconds(1));
  EXPECT_TRUE(Succeeds(late));
  // Those who are connected are served as before.
  EXPECT_TRUE(Succeeds(early->Call(StatusAsk(), seconds(5))));
  fill.clear();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(Succeeds(late->WaitReadable(seconds(5))));
  EXPECT_TRUE(Succeeds(Client::Connect(server.path(), seconds(5))));
}

}  // namespace
}  // namespace countersign::agent
