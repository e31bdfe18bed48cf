// F21 and F22 against real servers: whatever the network does, the lane gives
// a precise error in bounded time and memory, and works again afterwards.
#include "agent/uplink/authz_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "tests/agent/uplink/test_server.h"

namespace countersign::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kProtobuf[] = "application/x-protobuf";

void AnswerOnce(Peer& peer) {
  if (!peer.ReadRequest().empty()) peer.Answer("200 OK", kProtobuf, "answer");
}

class AuthzClientTest : public ::testing::Test {
 protected:
  AuthzClientTest() : ca_(MakeCa("Test CA")), leaf_(MakeLeaf(ca_)) {
    limits_.connect = milliseconds(800);
    limits_.total = milliseconds(5000);
  }

  v1::UplinkRequest Request(const std::string& service) const {
    v1::UplinkRequest request;
    request.set_id(7);
    request.set_path("/v1/actions");
    request.set_body("evidence");
    request.set_service(service);
    request.set_ca_pem(ca_.Pem());
    return request;
  }

  v1::UplinkResponse Exchange(const v1::UplinkRequest& request) {
    if (!client_) client_ = AuthzClient::Create(settings_, limits_).value();
    return client_->Exchange(request, stop_.get_token());
  }
  // The precise reason of an exchange with this server, or "".
  std::string Reason(const v1::UplinkRequest& request) {
    response_ = Exchange(request);
    return response_.error().reason();
  }

  Certificate ca_;
  Certificate leaf_;
  TransportSettings settings_;
  TransportLimits limits_;
  std::stop_source stop_;
  std::unique_ptr<AuthzClient> client_;
  v1::UplinkResponse response_;
};

TEST_F(AuthzClientTest, CarriesBytesBothWaysUnchanged) {
  const std::string all_bytes("\0\r\n\xff{}", 6);
  std::string seen;
  TestServer server(leaf_, [&](Peer& peer) {
    seen = peer.ReadRequest();
    peer.Answer("403 Forbidden", kProtobuf, all_bytes);
  });
  v1::UplinkRequest request = Request(server.url() + "/base/");
  request.set_body(all_bytes);
  const v1::UplinkResponse response = Exchange(request);
  EXPECT_EQ(response.id(), 7u);
  EXPECT_EQ(response.http_status(), 403u);
  EXPECT_EQ(response.body(), all_bytes);
  EXPECT_FALSE(response.has_error());
  EXPECT_THAT(seen, HasSubstr("POST /base/v1/actions HTTP/1.1\r\n"));
  EXPECT_THAT(seen, HasSubstr("Content-Type: application/x-protobuf\r\n"));
  EXPECT_THAT(seen, Not(HasSubstr("Accept-Encoding")));
  EXPECT_THAT(seen, Not(HasSubstr("Expect")));
  EXPECT_TRUE(seen.ends_with(std::string("\r\n\r\n") + all_bytes));
}

TEST_F(AuthzClientTest, SendsGetForAnEmptyBody) {
  std::string seen;
  TestServer server(leaf_, [&](Peer& peer) {
    seen = peer.ReadRequest();
    peer.Answer("200 OK", "application/json", "{}");
  });
  v1::UplinkRequest request = Request(server.url());
  request.set_path("/v1/jwks");
  request.clear_body();
  EXPECT_EQ(Exchange(request).body(), "{}");
  EXPECT_THAT(seen, HasSubstr("GET /v1/jwks HTTP/1.1\r\n"));
}

TEST_F(AuthzClientTest, KeepsExactlyOneConnection) {
  TestServer server(leaf_, [](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
      peer.Answer("200 OK", kProtobuf, "answer");
    }
  });
  std::string exporter;
  for (int i = 0; i < 5; ++i) {
    const v1::UplinkResponse response = Exchange(Request(server.url()));
    ASSERT_EQ(response.body(), "answer");
    if (i > 0) {
      EXPECT_EQ(response.tls_exporter(), exporter);
    }
    exporter = response.tls_exporter();
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(AuthzClientTest, ReportsTheExporterOfTheConnectionThatCarriedIt) {
  std::string seen;
  TestServer server(leaf_, [&](Peer& peer) {
    seen = peer.Exporter();
    AnswerOnce(peer);
  });
  const std::string first = Exchange(Request(server.url())).tls_exporter();
  EXPECT_EQ(first, seen);
  EXPECT_EQ(first.size(), 32u);
  // The server has closed: the next request takes another connection.
  const std::string second = Exchange(Request(server.url())).tls_exporter();
  EXPECT_EQ(second, seen);
  EXPECT_NE(second, first);
}

TEST_F(AuthzClientTest, ReportsNoExporterBelowTls13) {
  TestServer server(leaf_, AnswerOnce, TLS1_2_VERSION);
  const v1::UplinkResponse response = Exchange(Request(server.url()));
  EXPECT_EQ(response.body(), "answer");
  EXPECT_THAT(response.tls_exporter(), IsEmpty());
}

TEST_F(AuthzClientTest, RejectsTlsBelow12) {
  TestServer server(leaf_, AnswerOnce, TLS1_1_VERSION);
  EXPECT_EQ(Reason(Request(server.url())), "tls_failed");
}

TEST_F(AuthzClientTest, RejectsAnotherCaAndShowsTheChain) {  // F21
  TestServer server(leaf_, AnswerOnce);
  v1::UplinkRequest request = Request(server.url());
  request.set_ca_pem(MakeCa("Another CA").Pem());
  EXPECT_EQ(Reason(request), "tls_failed");
  EXPECT_THAT(response_.error().detail(), HasSubstr("issuer CN = Test CA"));
  EXPECT_THAT(response_.error().detail(), HasSubstr("local issuer"));
  EXPECT_EQ(response_.http_status(), 0u);
}

TEST_F(AuthzClientTest, RejectsAServerThatOnlyTheSystemTrustCouldKnow) {
  // Without any CA given the system's store judges; ours is not in it.
  TestServer server(leaf_, AnswerOnce);
  v1::UplinkRequest request = Request(server.url());
  request.clear_ca_pem();
  EXPECT_EQ(Reason(request), "tls_failed");
}

TEST_F(AuthzClientTest, TrustsTheConfiguredCaWhereTheRequestNamesNone) {
  settings_.ca_pem = ca_.Pem();
  TestServer server(leaf_, AnswerOnce);
  v1::UplinkRequest request = Request(server.url());
  request.clear_ca_pem();
  EXPECT_EQ(Exchange(request).body(), "answer");
}

TEST_F(AuthzClientTest, RejectsACaThatIsNoCertificate) {
  TestServer server(leaf_, AnswerOnce);
  v1::UplinkRequest request = Request(server.url());
  request.set_ca_pem("not a certificate");
  EXPECT_EQ(Reason(request), "tls_failed");
}

TEST_F(AuthzClientTest, RejectsAnExpiredCertificate) {  // F21
  TestServer server(MakeLeaf(ca_, {.ends_in_s = -60}), AnswerOnce);
  EXPECT_EQ(Reason(Request(server.url())), "tls_failed");
  EXPECT_THAT(response_.error().detail(), HasSubstr("expired"));
}

TEST_F(AuthzClientTest, RejectsACertificateOfAnotherHost) {
  TestServer server(MakeLeaf(ca_, {.san = "DNS:other.example"}), AnswerOnce);
  EXPECT_EQ(Reason(Request(server.url())), "tls_failed");
  EXPECT_THAT(response_.error().detail(), HasSubstr("127.0.0.1"));
  EXPECT_THAT(response_.error().detail(), HasSubstr("test service"));
}

TEST_F(AuthzClientTest, NeverReusesAConnectionThatAnotherCaVouchedFor) {
  TestServer server(leaf_, [](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
      peer.Answer("200 OK", kProtobuf, "answer");
    }
  });
  ASSERT_EQ(Exchange(Request(server.url())).body(), "answer");
  v1::UplinkRequest request = Request(server.url());
  request.set_ca_pem(MakeCa("Another CA").Pem());
  EXPECT_EQ(Reason(request), "tls_failed");
}

TEST_F(AuthzClientTest, RejectsPlainHttpAndOddUrls) {
  for (const char* service :
       {"http://127.0.0.1:1", "ftp://127.0.0.1", "file:///etc/passwd",
        "https://user:pass@127.0.0.1", "https://127.0.0.1/?a=b",
        "https://127.0.0.1/#a", "127.0.0.1", ""}) {
    EXPECT_EQ(Reason(Request(service)), "bad_request") << service;
  }
}

TEST_F(AuthzClientTest, RejectsPathsThatAreNotOurs) {
  for (const char* path : {"", "/", "/v1/../admin", "/v1/a?b", "/v1/a b",
                           "/v1/a\r\nX: y", "@evil.example/v1/"}) {
    v1::UplinkRequest request = Request("https://127.0.0.1:1");
    request.set_path(path);
    EXPECT_EQ(Reason(request), "bad_request") << path;
  }
}

TEST_F(AuthzClientTest, SaysThatTheNameDoesNotResolve) {  // F21
  EXPECT_EQ(Reason(Request("https://no-such-host.invalid")),
            "service_unreachable");
  EXPECT_THAT(response_.error().detail(), HasSubstr("does not resolve"));
}

TEST_F(AuthzClientTest, SaysThatTheConnectionWasRefused) {  // F21
  int port = 0;
  {
    TestServer gone([](Peer&) {});
    port = gone.port();
  }
  EXPECT_EQ(Reason(Request("https://127.0.0.1:" + std::to_string(port))),
            "service_unreachable");
  EXPECT_THAT(response_.error().detail(), HasSubstr("refused"));
}

TEST_F(AuthzClientTest, GivesUpOnABlackhole) {  // F21
  // A full queue of a listener that never accepts: SYNs get no answer.
  const platform::OwnedHandle listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  std::vector<platform::OwnedHandle> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)connect(fillers.back().get(), generic, size);
  }
  const auto start = steady_clock::now();
  EXPECT_EQ(Reason(Request("https://127.0.0.1:" +
                           std::to_string(ntohs(address.sin_port)))),
            "timeout");
  EXPECT_LT(steady_clock::now() - start, milliseconds(2500));
}

TEST_F(AuthzClientTest, GivesUpOnAServerThatNeverAnswers) {
  std::stop_source done;
  TestServer server(leaf_, [](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
    }
  });
  v1::UplinkRequest request = Request(server.url());
  request.set_timeout_ms(300);
  EXPECT_EQ(Reason(request), "timeout");
}

TEST_F(AuthzClientTest, GivesUpOnOneByteASecond) {  // F21
  limits_.slow_for = std::chrono::seconds(2);
  limits_.total = milliseconds(30'000);
  TestServer server(leaf_, [](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 100 && peer.Send("x"); ++i) {
      std::this_thread::sleep_for(milliseconds(500));
    }
  });
  const auto start = steady_clock::now();
  EXPECT_EQ(Reason(Request(server.url())), "timeout");
  EXPECT_LT(steady_clock::now() - start, milliseconds(8000));
}

TEST_F(AuthzClientTest, SaysThatTheConnectionBrokeMidBody) {  // F21
  TestServer server(leaf_, [](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
        "Content-Length: 100\r\n\r\nhalf");
    peer.Reset();
  });
  EXPECT_EQ(Reason(Request(server.url())), "service_unreachable");
  EXPECT_THAT(response_.body(), IsEmpty());
}

TEST_F(AuthzClientTest, RejectsGarbageInsteadOfHttp) {
  TestServer server(leaf_, [](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Send("SSH-2.0-OpenSSH\r\n\r\n");
  });
  EXPECT_EQ(Reason(Request(server.url())), "service_unreachable");
}

TEST_F(AuthzClientTest, RejectsGarbageInsteadOfTls) {
  TestServer server([](Peer& peer) { peer.Send("HTTP/1.1 400 No\r\n\r\n"); });
  EXPECT_EQ(Reason(Request(server.url())), "tls_failed");
}

TEST_F(AuthzClientTest, RejectsACaptivePortal) {  // F21
  TestServer server(leaf_, [](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Answer("200 OK", "text/html; charset=utf-8", "<html>Welcome</html>");
  });
  EXPECT_EQ(Reason(Request(server.url())), "answer_invalid");
  EXPECT_THAT(response_.error().detail(), HasSubstr("captive portal"));
  EXPECT_THAT(response_.body(), IsEmpty());
}

TEST_F(AuthzClientTest, FollowsNoRedirect) {
  TestServer target(leaf_, AnswerOnce);
  TestServer server(leaf_, [&](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Answer("302 Found", kProtobuf + std::string("2"), "",
                "Location: " + target.url() + "/login\r\n");
  });
  EXPECT_EQ(Reason(Request(server.url())), "answer_invalid");
  EXPECT_THAT(response_.error().detail(), HasSubstr("redirects to"));
  EXPECT_EQ(target.connections(), 0);
}

TEST_F(AuthzClientTest, PassesRetryAfterOnWhoeverAnswers) {  // F22
  struct {
    const char* status;
    const char* reason;
  } constexpr kCases[] = {{"429 Too Many Requests", "rate_limited"},
                          {"503 Service Unavailable", "busy"}};
  for (const auto& test : kCases) {
    TestServer server(leaf_, [&](Peer& peer) {
      (void)peer.ReadRequest();
      peer.Answer(test.status, "text/html", "<html>", "Retry-After: 17\r\n");
    });
    EXPECT_EQ(Reason(Request(server.url())), test.reason);
    EXPECT_EQ(response_.retry_after_s(), 17u);
    EXPECT_EQ(response_.error().retry_after_s(), 17u);
  }
  TestServer server(leaf_, [&](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Answer("503 Service Unavailable", kProtobuf, "signed",
                "Retry-After: 99999999\r\n");
  });
  EXPECT_EQ(Reason(Request(server.url())), "");
  EXPECT_EQ(response_.body(), "signed");
  EXPECT_EQ(response_.retry_after_s(), 86'400u);
}

TEST_F(AuthzClientTest, StopsReadingAnAnswerThatIsTooLarge) {
  limits_.max_answer = 64 << 10;
  const std::string chunk(16 << 10, 'x');
  for (const char* framing :
       {"Content-Length: 1000000000\r\n\r\n", "Connection: close\r\n\r\n"}) {
    size_t sent = 0;
    TestServer server(leaf_, [&](Peer& peer) {
      (void)peer.ReadRequest();
      peer.Send("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n" +
                std::string(framing));
      while (sent < 1'000'000'000 && peer.Send(chunk)) sent += chunk.size();
    });
    EXPECT_EQ(Reason(Request(server.url())), "too_large") << framing;
    EXPECT_THAT(response_.body(), IsEmpty());
  }
}

TEST_F(AuthzClientTest, TakesAnAnswerOfExactlyTheBound) {
  limits_.max_answer = 64 << 10;
  TestServer server(leaf_, [&](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Answer("200 OK", kProtobuf, std::string(limits_.max_answer, 'x'));
  });
  EXPECT_EQ(Exchange(Request(server.url())).body().size(), limits_.max_answer);
}

TEST_F(AuthzClientTest, StopsReadingAHeaderThatIsTooLarge) {
  TestServer server(leaf_, [](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\n");
    const std::string line = "X-Filler: " + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 10'000 && peer.Send(line); ++i) {
    }
  });
  EXPECT_EQ(Reason(Request(server.url())), "too_large");
}

TEST_F(AuthzClientTest, InflatesNothing) {  // A30, on the agent's side.
  TestServer server(leaf_, [](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Answer("200 OK", kProtobuf, "\x1f\x8b bomb",
                "Content-Encoding: gzip\r\n");
  });
  EXPECT_EQ(Exchange(Request(server.url())).body(), "\x1f\x8b bomb");
}

TEST_F(AuthzClientTest, NamesAProxyThatAsksForCredentials) {  // F21
  TestServer proxy([](Peer& peer) {
    (void)peer.ReadRequest();
    peer.Send(
        "HTTP/1.1 407 Proxy Authentication Required\r\n"
        "Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n");
  });
  TestServer server(leaf_, AnswerOnce);
  settings_.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
  EXPECT_EQ(Reason(Request(server.url())), "service_unreachable");
  EXPECT_THAT(response_.error().detail(), HasSubstr("407"));
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(AuthzClientTest, GoesThroughTheConfiguredProxy) {
  TestServer server(leaf_, AnswerOnce);
  std::string seen;
  TestServer proxy([&](Peer& peer) {
    seen = peer.ReadRequest();
    peer.Send("HTTP/1.1 200 Connected\r\n\r\n");
    peer.Tunnel(server.port());
  });
  settings_.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
  const v1::UplinkResponse response = Exchange(Request(server.url()));
  EXPECT_EQ(response.body(), "answer");
  EXPECT_EQ(response.tls_exporter().size(), 32u);
  EXPECT_TRUE(seen.starts_with("CONNECT 127.0.0.1:")) << seen;
}

TEST_F(AuthzClientTest, ShowsNoCredentialsOfTheProxy) {
  settings_.proxy = "http://user:hunter2@127.0.0.1:1";
  EXPECT_EQ(Reason(Request("https://127.0.0.1:1")), "service_unreachable");
  EXPECT_THAT(response_.ShortDebugString(), Not(HasSubstr("hunter2")));
}

TEST_F(AuthzClientTest, IgnoresTheProxyOfTheEnvironment) {
  TestServer proxy([](Peer&) {});
  const std::string url = "http://127.0.0.1:" + std::to_string(proxy.port());
  setenv("https_proxy", url.c_str(), 1);
  setenv("ALL_PROXY", url.c_str(), 1);
  TestServer server(leaf_, AnswerOnce);
  EXPECT_EQ(Exchange(Request(server.url())).body(), "answer");
  EXPECT_EQ(proxy.connections(), 0);
  unsetenv("https_proxy");
  unsetenv("ALL_PROXY");
}

TEST_F(AuthzClientTest, GivesUpSoonAfterAStop) {
  TestServer server(leaf_, [](Peer& peer) {
    while (!peer.ReadRequest().empty()) {
    }
  });
  const std::jthread stopper([this] {
    std::this_thread::sleep_for(milliseconds(200));
    stop_.request_stop();
  });
  const auto start = steady_clock::now();
  EXPECT_EQ(Reason(Request(server.url())), "service_unreachable");
  EXPECT_LT(steady_clock::now() - start, milliseconds(2500));
}

TEST_F(AuthzClientTest, WorksAgainAfterEveryFailure) {
  std::atomic<int> turn = 0;
  TestServer server(leaf_, [&](Peer& peer) {
    if (turn++ % 2 == 1) return AnswerOnce(peer);
    (void)peer.ReadRequest();
    peer.Reset();
  });
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(Reason(Request(server.url())),
              i % 2 == 0 ? "service_unreachable" : "");
  }
}

}  // namespace
}  // namespace countersign::agent
