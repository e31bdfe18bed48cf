// What a command needs to stand between its caller and a command it runs.
#ifndef COUNTERSIGN_PLATFORM_COMMAND_HOST_H_
#define COUNTERSIGN_PLATFORM_COMMAND_HOST_H_

#include <chrono>
#include <memory>
#include <optional>

#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

// A handle to the process that started this one. kPeerGone when that has
// exited and this process was handed on to another.
[[nodiscard]] Result<OwnedHandle> OpenParentProcess();

// Takes the signals that were sent to this process alone, so that it can pass
// them on to its child. Those that the terminal sends go to the child anyway.
class SignalRelay {
 public:
  // From now on SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 no
  // longer act on this thread; a child started before is not affected.
  [[nodiscard]] static Result<SignalRelay> Start();

  // Readable when a signal has arrived. Borrowed.
  [[nodiscard]] Handle handle() const { return signals_.get(); }
  // The next signal to pass on, if any. Never blocks.
  [[nodiscard]] std::optional<int> Next();

 private:
  explicit SignalRelay(OwnedHandle signals) : signals_(std::move(signals)) {}
  OwnedHandle signals_;
};

// Waits until one of the two is readable; true if it is `first`. kTimeout when
// neither is in time; a negative time is for ever.
[[nodiscard]] Result<bool> WaitForEither(
    Handle first, Handle second,
    std::chrono::milliseconds timeout = std::chrono::milliseconds(-1));

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_COMMAND_HOST_H_
