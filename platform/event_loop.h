// One thread that waits for many handles, timers and posted work.
//
// Never wakes up without a reason: an idle loop with no timer makes no system
// call at all. Never loses a posted function while it runs; what is posted
// after Stop() is dropped when the loop is destroyed. Only Post() and Stop()
// may be called from other threads; everything else belongs to the thread
// that calls Run() (or to whoever sets the loop up before).
// Callbacks run one at a time, may add and remove anything, and must not block.
#ifndef COUNTERSIGN_PLATFORM_EVENT_LOOP_H_
#define COUNTERSIGN_PLATFORM_EVENT_LOOP_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

class EventLoop {
 public:
  using Callback = std::function<void()>;
  using TimerId = uint64_t;

  // kIoError when the process is out of descriptors.
  [[nodiscard]] static Result<std::unique_ptr<EventLoop>> Create();
  virtual ~EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Watches `handle` (borrowed; remove it before it is closed). Level
  // triggered: `on_readable` runs as long as there is something to read, an
  // end of stream or an error included. Writability is watched only after
  // WatchWritable(handle, true), which needs an `on_writable`.
  [[nodiscard]] virtual Status Add(Handle handle, Callback on_readable,
                                   Callback on_writable = {}) = 0;
  // Pauses or resumes reading, so that a peer that sends too much is held up
  // by its own full socket rather than by our memory.
  virtual void WatchReadable(Handle handle, bool wanted) = 0;
  virtual void WatchWritable(Handle handle, bool wanted) = 0;
  virtual void Remove(Handle handle) = 0;

  // Runs `callback` once, not before `delay` has passed (suspend included).
  virtual TimerId RunAfter(std::chrono::milliseconds delay,
                           Callback callback) = 0;
  // Does nothing if the timer has fired or was cancelled.
  virtual void Cancel(TimerId timer) = 0;

  // Any thread. Functions run in the order in which one thread posts them.
  virtual void Post(Callback callback) = 0;

  // Runs until Stop(). What was posted before Stop() runs first.
  virtual void Run() = 0;
  // Any thread.
  virtual void Stop() = 0;

 protected:
  EventLoop() = default;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_EVENT_LOOP_H_
