#include "attest/authz/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "attest/authz/http_server.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using testing::HasSubstr;

class Peer final : public RequestHandler {
 public:
  size_t MaxBody(std::string_view, std::string_view) const override {
    return 1000;
  }
  Response Handle(const Request& request) override {
    Response response;
    response.content_type = "text/plain";
    response.cache_control = "max-age=7";
    response.body = request.method + " " + request.path + "?" + request.query +
                    " " + request.content_type + " " + request.authorization +
                    " " + request.body;
    if (request.path == "/large") response.body.assign(5'000, 'x');
    if (request.path == "/slow") {
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
    }
    if (request.path == "/elsewhere") {
      response.status = 302;
      response.headers = {{"Location", "/there"}};
    }
    return response;
  }
  Response Refusal(int status) const override {
    Response response;
    response.status = status;
    return response;
  }
};

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() {
    const std::string cert = folder_.Path("cert.pem");
    const std::string key = folder_.Path("key.pem");
    EXPECT_TRUE(MakePrivateTls("localhost", Ca(), cert, key).has_value());
    server_ = *HttpServer::Start({.listen = "127.0.0.1:0"},
                                 *TlsContext::Load(cert, key), peer_);
    client_ = *HttpClient::Create({.ca_file = Ca(),
                                   .timeout = std::chrono::milliseconds(200),
                                   .max_answer = 4'000});
  }
  std::string Ca() const { return folder_.Path("ca.pem"); }
  std::string Url(const std::string& path) const {
    return "https://localhost:" + std::to_string(server_->port()) + path;
  }
  ErrorCode CodeOf(const HttpCall& call) {
    const auto reply = client_->Send(call);
    return reply ? ErrorCode::kInternal : reply.error().code;
  }

  TempFolder folder_;
  Peer peer_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpClientTest, GetsAndPosts) {
  const auto got = client_->Send({.url = Url("/a?b=c")});
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->content_type, "text/plain");
  EXPECT_EQ(got->cache_control, "max-age=7");
  EXPECT_THAT(got->body, HasSubstr("GET /a?b=c"));
  const auto posted = client_->Send({.url = Url("/p"),
                                     .body = "hello",
                                     .content_type = "text/x",
                                     .headers = {"Authorization: Basic eA=="}});
  ASSERT_TRUE(posted.has_value());
  EXPECT_EQ(posted->body, "POST /p? text/x Basic eA== hello");
  // Nothing of the post is left for the next request.
  EXPECT_EQ(client_->Send({.url = Url("/q")})->body, "GET /q?   ");
}

TEST_F(HttpClientTest, FollowsNoRedirect) {
  EXPECT_EQ(client_->Send({.url = Url("/elsewhere")})->status, 302);
}

TEST_F(HttpClientTest, RefusesALargeAnswer) {
  EXPECT_EQ(CodeOf({.url = Url("/large")}), ErrorCode::kTooLarge);
}

TEST_F(HttpClientTest, GivesUpOnASlowAnswer) {
  EXPECT_EQ(CodeOf({.url = Url("/slow")}), ErrorCode::kTimeout);
}

TEST_F(HttpClientTest, RefusesAnotherCa) {
  ASSERT_TRUE(MakePrivateTls("localhost", folder_.Path("ca2.pem"),
                             folder_.Path("c2.pem"), folder_.Path("k2.pem"))
                  .has_value());
  client_ = *HttpClient::Create({.ca_file = folder_.Path("ca2.pem")});
  EXPECT_EQ(CodeOf({.url = Url("/")}), ErrorCode::kTlsFailed);
}

TEST_F(HttpClientTest, SaysThatNobodyListens) {
  const std::string url = Url("/");
  server_.reset();
  EXPECT_EQ(CodeOf({.url = url}), ErrorCode::kUpstreamUnreachable);
}

TEST_F(HttpClientTest, RefusesAHeaderWithALineBreak) {
  EXPECT_EQ(CodeOf({.url = Url("/"), .headers = {"A: b\r\nC: d"}}),
            ErrorCode::kConfigInvalid);
}

TEST(IsServerUrlTest, TakesHttpsAndLoopbackAlone) {
  EXPECT_TRUE(IsServerUrl("https://idp.example/a?b"));
  EXPECT_TRUE(IsServerUrl("http://127.0.0.1:8181/v1"));
  EXPECT_TRUE(IsServerUrl("http://[::1]:8181/"));
  for (const char* url :
       {"", "idp.example", "http://idp.example/", "http://127.0.0.1.evil/",
        "http://localhost@evil/", "https://", "ftp://x/", "https://x/#a",
        "https://x/ y", "file:///etc/passwd", "http://localhost.evil/"}) {
    EXPECT_FALSE(IsServerUrl(url)) << url;
  }
}

}  // namespace
}  // namespace countersign::authz
