#include "attest/authz/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/attest/authz/service_rig.h"
#include "tests/attest/authz/tls_client.h"

namespace countersign::authz {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Tells back what came, and can be made to wait.
class EchoHandler final : public RequestHandler {
 public:
  size_t MaxBody(std::string_view method, std::string_view) const override {
    return method == "POST" ? 1000 : 0;
  }
  Response Handle(const Request& request) override {
    ++handled;
    std::unique_lock lock(mutex);
    going_on.wait(lock, [this] { return !held; });
    Response response;
    if (wait && !request.waited) {
      response.wait = wait;
      return response;
    }
    response.content_type = "text/plain";
    response.body = request.method + " " + request.path + " ? " +
                    request.query + " " + request.body + " " +
                    ToHex(request.tls_exporter) + " " + request.remote_address;
    if (!request.dpop.empty()) {
      response.headers = {{"X-Proof", request.dpop},
                          {"X-Cookie", request.cookie}};
    }
    return response;
  }
  Response Refusal(int status) const override {
    Response response;
    response.status = status;
    response.content_type = "text/plain";
    return response;
  }
  void Hold() {
    const std::lock_guard lock(mutex);
    held = true;
  }
  void SetWait(std::optional<Wait> for_what) {
    const std::lock_guard lock(mutex);
    wait = std::move(for_what);
  }
  void Release() {
    const std::lock_guard lock(mutex);
    held = false;
    going_on.notify_all();
  }

  std::optional<Wait> wait;
  std::atomic<int> handled{0};
  std::mutex mutex;
  std::condition_variable going_on;
  bool held = false;
};

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    EXPECT_TRUE(MakePrivateTls("localhost", Ca(), folder_.Path("cert.pem"),
                               folder_.Path("key.pem"))
                    .has_value());
  }
  void Start(HttpServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto server = HttpServer::Start(options, Tls(), handler_);
    ASSERT_TRUE(server.has_value()) << server.error().detail;
    server_ = *std::move(server);
  }
  TlsContext Tls() const {
    return *TlsContext::Load(folder_.Path("cert.pem"), folder_.Path("key.pem"));
  }
  std::string Ca() const { return folder_.Path("ca.pem"); }
  std::unique_ptr<TlsClient> Connect(int max_version = 0) const {
    return std::make_unique<TlsClient>(server_->port(), Ca(), max_version);
  }
  // The status that raw bytes are answered with; nothing was handled, and the
  // connection does not live on.
  int StatusOf(const std::string& bytes) {
    const int before = handler_.handled;
    const auto client = Connect();
    client->Send(bytes);
    const HttpAnswer answer = client->Receive();
    EXPECT_EQ(handler_.handled, before);
    EXPECT_TRUE(client->WaitClosed(5'000));
    return answer.status;
  }

  void WaitHandled(int count) const {
    const auto end = std::chrono::steady_clock::now() + milliseconds(5'000);
    while (handler_.handled < count && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_EQ(handler_.handled, count);
  }

  TempFolder folder_;
  EchoHandler handler_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersRequestsOverOneConnection) {
  Start();
  const auto client = Connect();
  const HttpAnswer first = client->Ask("GET", "/a?b=c");
  EXPECT_EQ(first.status, 200);
  EXPECT_THAT(first.body, HasSubstr("GET /a ? b=c"));
  EXPECT_THAT(first.body, HasSubstr("127.0.0.1"));
  EXPECT_THAT(first.header, HasSubstr("Cache-Control: no-store"));
  EXPECT_THAT(client->Ask("POST", "/d", "hello").body, HasSubstr("hello"));
}

TEST_F(HttpServerTest, HandsOverFieldsAndWritesThoseOfTheAnswer) {
  Start();
  const auto client = Connect();
  const HttpAnswer answer = client->Ask("POST", "/", "x", "text/plain",
                                        "dpop: abc\r\nCookie: a=b\r\n");
  EXPECT_THAT(answer.header, HasSubstr("X-Proof: abc\r\n"));
  EXPECT_THAT(answer.header, HasSubstr("X-Cookie: a=b\r\n"));
}

TEST_F(HttpServerTest, RefusesAFieldThatStandsTwice) {
  Start();
  for (const std::string field :
       {"Authorization", "Cookie", "Origin", "Content-Type", "DPoP",
        "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP"}) {
    EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: x\r\n" + field + ": a\r\n" +
                       field + ": b\r\n\r\n"),
              400)
        << field;
  }
}

TEST_F(HttpServerTest, HoldsARequestUntilItsTopicIsWoken) {
  Start();
  handler_.SetWait(Wait{"a", milliseconds(60'000)});
  const auto client = Connect();
  const auto other = Connect();
  for (const auto& held : {client.get(), other.get()}) {
    held->Send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  // Each is handled once more after it has entered the waiting room.
  WaitHandled(4);
  server_->Wake("b");
  server_->Wake("a");
  EXPECT_THAT(client->Receive().body, HasSubstr("GET /held ?"));
  EXPECT_EQ(other->Receive().status, 200);
  EXPECT_EQ(handler_.handled, 6);
  // The connection goes on.
  handler_.SetWait(std::nullopt);
  EXPECT_EQ(client->Ask("GET", "/next").status, 200);
}

TEST_F(HttpServerTest, HoldsARequestNoLongerThanItMay) {
  Start();
  handler_.SetWait(Wait{"a", milliseconds(30)});
  EXPECT_THAT(Connect()->Ask("GET", "/held").body, HasSubstr("GET /held"));
  EXPECT_EQ(handler_.handled, 3);
}

TEST_F(HttpServerTest, AnswersWhatWaitsWhenItStops) {
  Start();
  handler_.SetWait(Wait{"a", milliseconds(60'000)});
  const auto client = Connect();
  client->Send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  WaitHandled(2);
  server_->Stop(milliseconds(5'000));
  EXPECT_EQ(client->Receive().status, 200);
}

TEST_F(HttpServerTest, HoldsRequestsWithoutAWorker) {
  Start({.workers = 1, .queue = 1});
  handler_.SetWait(Wait{"a", milliseconds(60'000)});
  std::vector<std::unique_ptr<TlsClient>> held;
  for (int i = 0; i < 5; ++i) {
    held.push_back(Connect());
    held.back()->Send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    WaitHandled(2 * (i + 1));
  }
  handler_.SetWait(std::nullopt);
  EXPECT_EQ(Connect()->Ask("GET", "/").status, 200);
}

TEST_F(HttpServerTest, ForgetsAClientThatLeavesWhileItWaits) {
  Start({.connections = 1});
  handler_.SetWait(Wait{"a", milliseconds(60'000)});
  {
    const auto client = Connect();
    client->Send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    WaitHandled(2);
  }
  // What waits makes room, like whatever idles.
  handler_.SetWait(std::nullopt);
  EXPECT_EQ(Connect()->Ask("GET", "/").status, 200);
  server_->Wake("a");
  EXPECT_EQ(handler_.handled, 3);
}

TEST_F(HttpServerTest, LeavesOutTheBodyOfAnAnswerToHead) {
  Start();
  const auto client = Connect();
  const HttpAnswer head = client->Ask("HEAD", "/a");
  EXPECT_EQ(head.status, 200);
  EXPECT_THAT(head.header, HasSubstr("Content-Length: "));
  EXPECT_THAT(head.header, testing::Not(HasSubstr("Content-Length: 0")));
  // No byte of a body stands before the next answer.
  EXPECT_THAT(client->Ask("GET", "/b").body, HasSubstr("GET /b"));
}

TEST_F(HttpServerTest, AnswersHttp10) {
  Start();
  TlsClient client(server_->port(), Ca(), 0, "\x08http/1.0");
  ASSERT_TRUE(client.connected());
  client.Send("GET /old HTTP/1.0\r\n\r\n");
  const HttpAnswer answer = client.Receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.header, HasSubstr("HTTP/1.0 200"));
  EXPECT_THAT(answer.body, HasSubstr("GET /old"));
  EXPECT_TRUE(client.WaitClosed(5'000));
}

TEST_F(HttpServerTest, GivesTheChannelBindingOfTls13) {
  Start();
  const auto client = Connect();
  EXPECT_THAT(client->Ask("GET", "/").body,
              HasSubstr(ToHex(client->Exporter())));
  const auto other = Connect();
  EXPECT_NE(other->Exporter(), client->Exporter());
}

TEST_F(HttpServerTest, GivesNoChannelBindingUnderTls12) {
  Start();
  const auto client = Connect(TLS1_2_VERSION);
  ASSERT_TRUE(client->connected());
  EXPECT_THAT(client->Ask("GET", "/").body, HasSubstr("GET / ?    127"));
}

TEST_F(HttpServerTest, RefusesOlderTls) {
  Start();
  EXPECT_FALSE(Connect(TLS1_1_VERSION)->connected());
}

TEST_F(HttpServerTest, TakesAChunkedBodyWithinTheBound) {
  Start();
  const auto client = Connect();
  client->Send(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n0\r\n\r\n");
  EXPECT_THAT(client->Receive().body, HasSubstr("hello"));
}

TEST_F(HttpServerTest, TellsAClientThatAsksToGoOn) {
  Start();
  const auto client = Connect();
  client->Send(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client->Receive().status, 100);
  client->Send("hello");
  EXPECT_THAT(client->Receive().body, HasSubstr("hello"));
}

// A30
TEST_F(HttpServerTest, RefusesBodiesOverTheBound) {
  Start();
  EXPECT_EQ(StatusOf("POST / HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 1073741824\r\n\r\n"),
            413);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"),
            413);
  // Chunked, without an end.
  const auto client = Connect();
  client->Send(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 100; ++i) {
    if (!client->Send("64\r\n" + std::string(100, 'x') + "\r\n")) break;
  }
  EXPECT_EQ(client->Receive().status, 413);
}

// A30
TEST_F(HttpServerTest, RefusesCompression) {
  Start();
  for (const char* encoding : {"gzip", "deflate", "br", "identity, gzip"}) {
    EXPECT_EQ(
        StatusOf("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: " +
                 std::string(encoding) + "\r\nContent-Length: 1\r\n\r\nx"),
        415);
  }
  EXPECT_EQ(StatusOf("POST / HTTP/1.1\r\nHost: x\r\n"
                     "Transfer-Encoding: gzip, chunked\r\n\r\n"),
            400);
}

// A30: request smuggling.
TEST_F(HttpServerTest, RefusesLengthAndTransferEncodingTogether) {
  Start();
  EXPECT_EQ(StatusOf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(StatusOf("POST / HTTP/1.1\r\nHost: x\r\n"
                     "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"
                     "\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(StatusOf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                     "Content-Length: 6\r\n\r\nhello"),
            400);
  EXPECT_EQ(StatusOf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n"
                     "\r\n"),
            400);
}

// A30
TEST_F(HttpServerTest, RefusesHeadersOverTheBound) {
  Start();
  EXPECT_EQ(
      StatusOf("GET / HTTP/1.1\r\nX: " + std::string(65'536, 'x') + "\r\n\r\n"),
      431);
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 100'000; ++i) many += "X: y\r\n";
  EXPECT_EQ(StatusOf(many + "\r\n"), 431);
}

// A30
TEST_F(HttpServerTest, RefusesNulAndStrayLineEndsInHeaders) {
  Start();
  EXPECT_EQ(StatusOf(std::string("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 27)),
            400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nX a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nX : a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/3.7\r\nX: a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("\x16\x03\x01 nonsense\r\n\r\n"), 400);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsOneByOne) {
  Start();
  const auto client = Connect();
  client->Send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client->Receive().body, HasSubstr("GET /1"));
  EXPECT_THAT(client->Receive().body, HasSubstr("GET /2"));
}

TEST_F(HttpServerTest, EndsARequestThatDoesNotArrive) {
  Start({.read_timeout = milliseconds(300)});
  const auto client = Connect();
  client->Send("GET / HTTP/1.1\r\nX: ");
  // Slowly going on does not help it.
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(milliseconds(100));
    if (!client->Send("a")) break;
  }
  EXPECT_TRUE(client->WaitClosed(2'000));
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(HttpServerTest, EndsAnIdleConnection) {
  Start({.idle_timeout = milliseconds(200)});
  const auto client = Connect();
  EXPECT_TRUE(client->WaitClosed(3'000));
}

TEST_F(HttpServerTest, MakesRoomByClosingTheLongestIdle) {
  Start({.connections = 3});
  const auto first = Connect();
  ASSERT_EQ(first->Ask("GET", "/").status, 200);
  const auto second = Connect();
  ASSERT_EQ(second->Ask("GET", "/").status, 200);
  const auto third = Connect();
  ASSERT_EQ(third->Ask("GET", "/").status, 200);
  const auto fourth = Connect();
  EXPECT_EQ(fourth->Ask("GET", "/").status, 200);
  EXPECT_TRUE(first->WaitClosed(2'000));
  EXPECT_EQ(second->Ask("GET", "/").status, 200);
}

// A49, F22
TEST_F(HttpServerTest, SaysBusyWhenWorkersAndQueueAreFull) {
  Start({.workers = 1, .queue = 1});
  handler_.Hold();
  const auto working = Connect();
  working->Send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  while (handler_.handled < 1) std::this_thread::sleep_for(milliseconds(5));
  const auto queued = Connect();
  queued->Send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(200));
  const HttpAnswer busy = Connect()->Ask("GET", "/3");
  EXPECT_EQ(busy.status, 503);
  EXPECT_THAT(busy.header, HasSubstr("Retry-After: 1"));
  handler_.Release();
  EXPECT_THAT(working->Receive().body, HasSubstr("/1"));
  EXPECT_THAT(queued->Receive().body, HasSubstr("/2"));
}

// F20
TEST_F(HttpServerTest, AnswersSoonBesideTwoThousandIdleConnections) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const size_t idle = limit.rlim_cur < 8'192 ? 400 : 2'000;
  Start();
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (size_t i = 0; i < idle; ++i) {
    clients.push_back(Connect());
    // Every second one has begun a request and does not go on.
    if (i % 2 == 0) clients.back()->Send("GET / HT");
  }
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(Connect()->Ask("GET", "/").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
}

// F37
TEST_F(HttpServerTest, LetsRequestsEndWhenItStops) {
  Start();
  handler_.Hold();
  const auto client = Connect();
  client->Send("GET /last HTTP/1.1\r\nHost: x\r\n\r\n");
  while (handler_.handled < 1) std::this_thread::sleep_for(milliseconds(5));
  const auto idle = Connect();
  const uint16_t port = server_->port();
  std::jthread stopping([this] { server_->Stop(std::chrono::seconds(10)); });
  EXPECT_TRUE(idle->WaitClosed(2'000));
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_FALSE(TlsClient(port, Ca()).connected());
  handler_.Release();
  EXPECT_THAT(client->Receive().body, HasSubstr("/last"));
}

TEST_F(HttpServerTest, ClosesEverythingAfterTheGrace) {
  Start();
  const auto client = Connect();
  client->Send("GET / HT");
  const auto begun = std::chrono::steady_clock::now();
  server_->Stop(milliseconds(200));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
  EXPECT_TRUE(client->WaitClosed(1'000));
}

// F31
TEST_F(HttpServerTest, TakesANewCertificateWhileItRuns) {
  Start();
  const auto before = Connect();
  const TempFolder fresh;
  ASSERT_TRUE(MakePrivateTls("localhost", fresh.Path("ca.pem"),
                             fresh.Path("cert.pem"), fresh.Path("key.pem"))
                  .has_value());
  server_->ReplaceTls(
      *TlsContext::Load(fresh.Path("cert.pem"), fresh.Path("key.pem")));
  EXPECT_FALSE(Connect()->connected());
  TlsClient after(server_->port(), fresh.Path("ca.pem"));
  EXPECT_EQ(after.Ask("GET", "/").status, 200);
  EXPECT_EQ(before->Ask("GET", "/").status, 200);
}

TEST_F(HttpServerTest, SaysWhatIsWrongWithAddressAndCertificate) {
  Start();
  HttpServerOptions options;
  for (const char* listen : {"", "x", "127.0.0.1", "127.0.0.1:70000", ":1"}) {
    options.listen = listen;
    const auto server = HttpServer::Start(options, Tls(), handler_);
    ASSERT_FALSE(server.has_value()) << listen;
    EXPECT_EQ(server.error().code, ErrorCode::kConfigInvalid);
  }
  options.listen = "127.0.0.1:" + std::to_string(server_->port());
  EXPECT_EQ(HttpServer::Start(options, Tls(), handler_).error().code,
            ErrorCode::kIoError);
  EXPECT_EQ(
      TlsContext::Load("/nonexistent", folder_.Path("key.pem")).error().code,
      ErrorCode::kConfigInvalid);
}

}  // namespace
}  // namespace countersign::authz
