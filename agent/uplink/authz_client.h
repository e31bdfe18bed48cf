// One lane to the authorization service: a libcurl handle and the single
// connection that it keeps, used by one request at a time.
//
// Carries bytes that it can neither make nor judge: answers are verified in
// the signer. What it does judge is the transport: TLS 1.2 or newer with
// verification that cannot be switched off, https alone, no redirect, no
// compression, no proxy but the configured one, everything bounded. Never
// logs a body. Belongs to one thread; uses no time while it has no request.
// The process must ignore SIGPIPE (platform::ServiceHost sees to it).
#ifndef COUNTERSIGN_AGENT_UPLINK_AUTHZ_CLIENT_H_
#define COUNTERSIGN_AGENT_UPLINK_AUTHZ_CLIENT_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>

#include "attest/base/result.h"
#include "attest/statement/limits.h"
#include "countersign/v1/uplink.pb.h"

namespace countersign::agent {

struct TransportSettings {
  // URL; empty or "none": no proxy, whatever the environment says.
  std::string proxy;
  std::string ca_pem;  // Where a request names no CA. Empty: the system's.
};

// Bounds on one exchange; the tests use shorter ones.
struct TransportLimits {
  size_t max_answer = statement::kMaxAnswerSize;
  size_t max_header = 64u << 10;  // All header lines of an answer together.
  std::chrono::milliseconds connect{10'000};
  std::chrono::milliseconds total{60'000};  // Where the request names none.
  // Less than `slow_bytes` a second for `slow_for` ends the exchange; 0: never.
  long slow_bytes = 16;
  std::chrono::seconds slow_for{20};
};

class AuthzClient {
 public:
  // kInternal when libcurl cannot start or has no OpenSSL.
  [[nodiscard]] static Result<std::unique_ptr<AuthzClient>> Create(
      TransportSettings settings, TransportLimits limits = {});
  virtual ~AuthzClient() = default;

  // Sends `request` and waits for the answer; at most the request's timeout.
  // Gives up within a second of a stop. The response has either the answer's
  // status and body, or `error` (then the status is what was seen, if any):
  //   kBadRequest          service is not a plain https URL, or path is not
  //                        one of ours
  //   kServiceUnreachable  name does not resolve, refused, connection lost,
  //                        proxy refuses (HTTP 407 is named), HTTP 5xx
  //                        without an answer in it
  //   kTimeout             connect, total or low-speed bound
  //   kTlsFailed           with OpenSSL's reason and the chain that was seen
  //   kAnswerInvalid       not an answer of the service: HTML, a redirect
  //   kRateLimited, kBusy  HTTP 429, 503 without an answer in it
  //   kTooLarge            the answer or its header is over the bound
  // retry_after_s and tls_exporter are filled whenever they were seen.
  [[nodiscard]] virtual v1::UplinkResponse Exchange(
      const v1::UplinkRequest& request, std::stop_token stop) = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_UPLINK_AUTHZ_CLIENT_H_
