#include "platform/loopback_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace countersign::platform {
namespace {

using Clock = LoopbackListener::Clock;

constexpr size_t kMaxHead = 16 * 1024;
constexpr std::chrono::seconds kPatience{2};

tl::unexpected<Error> Failed(const char* call) {
  return Fail(ErrorCode::kIoError, std::string(call) + ": " + strerror(errno));
}

// True once `handle` is readable; false at `deadline`.
bool WaitReadable(Handle handle, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - Clock::now());
    pollfd wanted{handle, POLLIN, 0};
    const int ready = ::poll(&wanted, 1,
                             static_cast<int>(std::max<int64_t>(
                                 0, std::min<int64_t>(left.count(), 60'000))));
    if (ready > 0) return true;
    if (Clock::now() >= deadline) return false;
  }
}

// Empty if no whole header came.
std::string ReadHead(Handle connection, Clock::time_point deadline) {
  std::string head;
  std::array<char, 4096> chunk{};
  while (head.size() < kMaxHead && WaitReadable(connection, deadline)) {
    const ssize_t got = ::recv(connection, chunk.data(), chunk.size(), 0);
    if (got <= 0) return {};
    head.append(chunk.data(), static_cast<size_t>(got));
    if (head.find("\r\n\r\n") != std::string::npos) return head;
  }
  return {};
}

}  // namespace

void LoopbackRequest::Answer(std::string_view response) && {
  while (!response.empty()) {
    const ssize_t sent = ::send(connection_.get(), response.data(),
                                response.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    response.remove_prefix(static_cast<size_t>(sent));
  }
  ::shutdown(connection_.get(), SHUT_WR);
}

Result<LoopbackListener> LoopbackListener::Open() {
  OwnedHandle socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Failed("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.get(), generic, size) != 0) return Failed("bind");
  if (::listen(socket.get(), 8) != 0) return Failed("listen");
  if (::getsockname(socket.get(), generic, &size) != 0) {
    return Failed("getsockname");
  }
  return LoopbackListener(std::move(socket), ntohs(address.sin_port));
}

Result<LoopbackRequest> LoopbackListener::Next(Clock::time_point deadline) {
  while (WaitReadable(socket_.get(), deadline)) {
    OwnedHandle connection(
        ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return Failed("accept");
    }
    std::string head = ReadHead(connection.get(),
                                std::min(deadline, Clock::now() + kPatience));
    if (!head.empty()) {
      return LoopbackRequest(std::move(connection), std::move(head));
    }
  }
  return Fail(ErrorCode::kTimeout, "nothing came back from the browser");
}

}  // namespace countersign::platform
