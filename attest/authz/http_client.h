// HTTPS requests of the service to servers that its configuration names: an
// identity provider, a decision point, a receiver of security events.
//
// Never sends anything to a URL that it was not given whole: no redirects, no
// cookies, no credentials from files. The answer is hostile and bounded.
// Plain http is for loopback alone (a decision point on the same machine).
//
// libcurl's names appear in the source alone. Thread-safe: connections are
// kept and shared out, one to a request.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_HTTP_CLIENT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_HTTP_CLIENT_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/result.h"

namespace countersign::authz {

struct HttpClientOptions {
  std::string ca_file = {};  // Instead of the system's; PEM.
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds timeout{5'000};  // For the whole exchange.
  size_t max_answer = 1024 * 1024;           // Body; also of the header.
};

struct HttpCall {
  std::string url;
  std::string body = {};  // Empty: GET; else POST.
  std::string content_type = {};
  std::string accept = "application/json";
  std::vector<std::string> headers = {};  // "Name: value", without CR and LF.
};

struct HttpReply {
  int status = 0;
  std::string content_type;  // As sent.
  std::string cache_control;
  std::string body;
};

// "https://…", or "http://" and a loopback address or localhost, without user
// information and fragment: what a configured URL must be.
[[nodiscard]] bool IsServerUrl(std::string_view url);

class HttpClient {
 public:
  // kConfigInvalid: ca_file cannot be read or holds no certificate.
  [[nodiscard]] static Result<std::unique_ptr<HttpClient>> Create(
      HttpClientOptions options);
  ~HttpClient();

  // Any HTTP status is a reply. The detail of an error names the host.
  //   kConfigInvalid        IsServerUrl does not hold, or a header has CR or LF
  //   kTooLarge             the answer is over the bound
  //   kTimeout              no whole answer in time
  //   kTlsFailed            the certificate does not lead to the CA
  //   kUpstreamUnreachable  anything else: name, route, connection
  [[nodiscard]] Result<HttpReply> Send(const HttpCall& call);

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_HTTP_CLIENT_H_
