// Says in one sentence why an exchange brought no answer of the service.
#ifndef COUNTERSIGN_AGENT_UPLINK_TRANSPORT_FAILURE_H_
#define COUNTERSIGN_AGENT_UPLINK_TRANSPORT_FAILURE_H_

#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign::agent {

// What libcurl knows of an exchange that it could not complete.
struct TransportFailure {
  int curl_code = 0;        // CURLcode
  std::string host;         // Of the service.
  std::string_view proxy;   // Configured; may hold credentials, never shown.
  std::string_view detail;  // CURLOPT_ERRORBUFFER; hostile in parts.
  std::string_view chain;   // Of the last handshake.
  int connect_status = 0;   // What the proxy answered to CONNECT.
  int os_error = 0;         // errno of a failed connect.
  bool too_large = false;   // Our own bounds ended it.
  bool stopped = false;
};
[[nodiscard]] Error ErrorOf(const TransportFailure& failure);

// Why an HTTP answer is not one of the service: something between it and us
// made it (proxy, captive portal), or the service is not there behind its
// load balancer. `redirect` is the Location, if any.
[[nodiscard]] Error ErrorOfForeignAnswer(int status, std::string_view host,
                                         std::string_view content_type,
                                         std::string_view redirect);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_UPLINK_TRANSPORT_FAILURE_H_
