// How a long-running program lives with its service manager and its signals.
//
// Speaks systemd's notification protocol where NOTIFY_SOCKET is set and does
// nothing where it is not; on other systems the same calls mean the same.
#ifndef COUNTERSIGN_PLATFORM_SERVICE_HOST_H_
#define COUNTERSIGN_PLATFORM_SERVICE_HOST_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/result.h"
#include "platform/event_loop.h"
#include "platform/handle.h"

namespace countersign::platform {

class ServiceHost {
 public:
  // Blocks SIGTERM, SIGINT and SIGHUP in this thread (call it before any other
  // thread starts, which inherit the mask) and ignores SIGPIPE.
  [[nodiscard]] static Result<std::unique_ptr<ServiceHost>> Create();
  virtual ~ServiceHost() = default;

  // From now on, on the loop's thread: `on_terminate` for SIGTERM and SIGINT,
  // `on_reload` for SIGHUP. The loop must outlive the host.
  [[nodiscard]] virtual Status Watch(EventLoop& loop,
                                     std::function<void()> on_terminate,
                                     std::function<void()> on_reload) = 0;

  virtual void NotifyReady() = 0;
  virtual void NotifyStopping() = 0;
  // One line for `systemctl status`.
  virtual void NotifyStatus(std::string_view status) = 0;

  // The listening sockets that the service manager passed, by their names
  // (FileDescriptorName=); each can be taken once.
  [[nodiscard]] virtual OwnedHandle TakeSocket(std::string_view name) = 0;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_SERVICE_HOST_H_
