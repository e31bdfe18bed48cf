#include "platform/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace countersign::platform {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

tl::unexpected<Error> SystemError(const char* call) {
  return Fail(ErrorCode::kIoError,
              std::string(call) + ": " + std::strerror(errno));
}

// CLOCK_BOOTTIME: a timer that was due while the machine slept is due now.
nanoseconds Now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

class EpollLoop final : public EventLoop {
 public:
  EpollLoop(OwnedHandle epoll, OwnedHandle wake, OwnedHandle timer)
      : epoll_(std::move(epoll)),
        wake_(std::move(wake)),
        timer_(std::move(timer)) {}

  Status Start();
  Status Add(Handle handle, Callback on_readable,
             Callback on_writable) override;
  void WatchReadable(Handle handle, bool wanted) override;
  void WatchWritable(Handle handle, bool wanted) override;
  void Remove(Handle handle) override;
  TimerId RunAfter(milliseconds delay, Callback callback) override;
  void Cancel(TimerId timer) override;
  void Post(Callback callback) override;
  void Run() override;
  void Stop() override;

 private:
  // Kept alive by whoever runs a callback of it, so that a callback may remove
  // its own handle.
  struct Watch {
    Handle handle;
    uint32_t events;
    Callback on_readable;
    Callback on_writable;
  };

  void SetEvent(Handle handle, uint32_t event, bool wanted);
  void Dispatch(uint64_t id, uint32_t events);
  void RunPosted();
  void RunTimers();
  void ArmTimer();

  OwnedHandle epoll_;
  OwnedHandle wake_;
  OwnedHandle timer_;

  // epoll carries an id that is never reused: an event that was already
  // fetched for a handle that was closed and opened again finds nothing.
  std::unordered_map<uint64_t, std::shared_ptr<Watch>> watches_;
  std::unordered_map<Handle, uint64_t> ids_;
  uint64_t last_id_ = 0;

  std::map<std::pair<nanoseconds, TimerId>, Callback> timers_;
  std::unordered_map<TimerId, nanoseconds> due_;
  TimerId last_timer_ = 0;
  nanoseconds armed_for_{0};

  std::mutex mutex_;
  std::deque<Callback> posted_;  // Guarded by mutex_.
  std::atomic<bool> stopping_ = false;
};

Status EpollLoop::Start() {
  CS_RETURN_IF_ERROR(Add(wake_.get(), [this] { RunPosted(); }, {}));
  return Add(timer_.get(), [this] { RunTimers(); }, {});
}

Status EpollLoop::Add(Handle handle, Callback on_readable,
                      Callback on_writable) {
  const uint64_t id = ++last_id_;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, handle, &event) != 0) {
    return SystemError("epoll_ctl");
  }
  watches_[id] = std::make_shared<Watch>(
      Watch{handle, EPOLLIN, std::move(on_readable), std::move(on_writable)});
  ids_[handle] = id;
  return {};
}

void EpollLoop::SetEvent(Handle handle, uint32_t event, bool wanted) {
  const auto id = ids_.find(handle);
  if (id == ids_.end()) return;
  Watch& watch = *watches_.at(id->second);
  const uint32_t events = wanted ? watch.events | event : watch.events & ~event;
  if (events == watch.events) return;
  watch.events = events;
  epoll_event update{};
  update.events = events;
  update.data.u64 = id->second;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, handle, &update);
}

void EpollLoop::WatchReadable(Handle handle, bool wanted) {
  SetEvent(handle, EPOLLIN, wanted);
}

void EpollLoop::WatchWritable(Handle handle, bool wanted) {
  SetEvent(handle, EPOLLOUT, wanted);
}

void EpollLoop::Remove(Handle handle) {
  const auto id = ids_.find(handle);
  if (id == ids_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, handle, nullptr);
  watches_.erase(id->second);
  ids_.erase(id);
}

EventLoop::TimerId EpollLoop::RunAfter(milliseconds delay, Callback callback) {
  const TimerId id = ++last_timer_;
  const nanoseconds due = Now() + std::max(delay, milliseconds(0));
  timers_.emplace(std::pair(due, id), std::move(callback));
  due_[id] = due;
  ArmTimer();
  return id;
}

void EpollLoop::Cancel(TimerId timer) {
  const auto due = due_.find(timer);
  if (due == due_.end()) return;
  timers_.erase({due->second, timer});
  due_.erase(due);
  ArmTimer();
}

// Set for the first timer, or for none: an idle loop never wakes up.
void EpollLoop::ArmTimer() {
  const nanoseconds first =
      timers_.empty() ? nanoseconds(0) : timers_.begin()->first.first;
  if (first == armed_for_) return;
  armed_for_ = first;
  itimerspec spec{};
  spec.it_value.tv_sec = first.count() / 1'000'000'000;
  spec.it_value.tv_nsec = first.count() % 1'000'000'000;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void EpollLoop::RunTimers() {
  uint64_t fired = 0;
  (void)!::read(timer_.get(), &fired, sizeof(fired));
  armed_for_ = nanoseconds(0);
  const nanoseconds now = Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto first = timers_.extract(timers_.begin());
    due_.erase(first.key().second);
    first.mapped()();
  }
  ArmTimer();
}

void EpollLoop::Post(Callback callback) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(callback));
    if (posted_.size() > 1) return;  // The loop has been woken already.
  }
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
}

void EpollLoop::Stop() {
  stopping_ = true;
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
}

void EpollLoop::RunPosted() {
  uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof(count));
  std::deque<Callback> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(posted_);
  }
  for (Callback& callback : batch) callback();
}

void EpollLoop::Dispatch(uint64_t id, uint32_t events) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  const std::shared_ptr<Watch> watch = found->second;
  const uint32_t broken = events & (EPOLLERR | EPOLLHUP);
  if ((events & EPOLLOUT) != 0 && watch->on_writable) watch->on_writable();
  if (!watches_.contains(id)) return;
  // A broken peer is reported even while reading is paused, else it would be
  // reported for ever and to nobody.
  if ((events & EPOLLIN) != 0 || broken != 0) watch->on_readable();
}

void EpollLoop::Run() {
  std::array<epoll_event, 64> events;
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(),
                                   static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      Dispatch(events[i].data.u64, events[i].events);
    }
  }
  RunPosted();
  stopping_ = false;
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  OwnedHandle epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return SystemError("epoll_create1");
  OwnedHandle wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return SystemError("eventfd");
  OwnedHandle timer(
      ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer.valid()) return SystemError("timerfd_create");
  auto loop = std::make_unique<EpollLoop>(std::move(epoll), std::move(wake),
                                          std::move(timer));
  CS_RETURN_IF_ERROR(loop->Start());
  return loop;
}

}  // namespace countersign::platform
