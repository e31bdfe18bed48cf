// A TCP port of this machine's loopback interface, for the browser to bring
// back what the identity provider gave it (RFC 8252 §7.3). Takes one small
// HTTP request at a time and never sends anything elsewhere.
//
// Any local process can connect: whoever uses it checks what arrives against
// a secret of its own. One thread.
#ifndef COUNTERSIGN_PLATFORM_LOOPBACK_LISTENER_H_
#define COUNTERSIGN_PLATFORM_LOOPBACK_LISTENER_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

// A request as far as it was read: its first line and header fields.
class LoopbackRequest {
 public:
  LoopbackRequest(OwnedHandle connection, std::string head)
      : connection_(std::move(connection)), head_(std::move(head)) {}

  // "GET /path?query HTTP/1.1" and the fields; at most 16 KiB; hostile.
  [[nodiscard]] const std::string& head() const { return head_; }
  // Sends `response`, a whole HTTP response, and closes. A browser that has
  // gone away is no error.
  void Answer(std::string_view response) &&;

 private:
  OwnedHandle connection_;
  std::string head_;
};

class LoopbackListener {
 public:
  using Clock = std::chrono::steady_clock;

  // On 127.0.0.1, a free port. kIoError.
  [[nodiscard]] static Result<LoopbackListener> Open();

  [[nodiscard]] uint16_t port() const { return port_; }
  // The next request whose header is whole; connections that send none within
  // two seconds are closed. kTimeout at `deadline`; kIoError.
  [[nodiscard]] Result<LoopbackRequest> Next(Clock::time_point deadline);

 private:
  LoopbackListener(OwnedHandle socket, uint16_t port)
      : socket_(std::move(socket)), port_(port) {}

  OwnedHandle socket_;
  uint16_t port_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_LOOPBACK_LISTENER_H_
