// A thread that does one thing after the other for the event loop: what would
// block the loop (the TPM, the disk, hashing) runs here, and its result comes
// back to the loop.
//
// Sleeps without a wake-up while there is nothing to do. Those who submit
// bound how much they have under way. Submit() belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_WORKER_H_
#define COUNTERSIGN_AGENT_DAEMON_WORKER_H_

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "platform/event_loop.h"

namespace countersign::agent {

class Worker {
 public:
  // Urgent work runs first, each kind in the order of submission; but of what
  // is not urgent one runs after each that is, so that no flood of urgent work
  // keeps it waiting for ever.
  enum class Urgency { kNormal, kUrgent };

  // `loop` outlives the worker and whatever `done` functions refer to lives as
  // long as the loop runs.
  explicit Worker(platform::EventLoop& loop);
  // Waits for the task that runs; what had not begun never runs.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs `work()` on the worker's thread, then `done(result)` on the loop's.
  template <typename Work, typename Done>
  void Submit(Urgency urgency, Work work, Done done) {
    Enqueue(urgency, std::make_shared<TaskOf<Work, Done>>(std::move(work),
                                                          std::move(done)));
  }

 private:
  struct Task {
    virtual ~Task() = default;
    virtual void Work() = 0;
    virtual void Done() = 0;
  };
  template <typename W, typename D>
  struct TaskOf final : Task {
    TaskOf(W w, D d) : work(std::move(w)), done(std::move(d)) {}
    void Work() override { result.emplace(work()); }
    void Done() override { done(*std::move(result)); }
    W work;
    D done;
    std::optional<decltype(std::declval<W&>()())> result;
  };

  void Enqueue(Urgency urgency, std::shared_ptr<Task> task);
  void Run();
  [[nodiscard]] std::shared_ptr<Task> Next();

  platform::EventLoop& loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Task>> urgent_;  // Guarded by mutex_, as are
  std::deque<std::shared_ptr<Task>> normal_;  // these.
  bool stopping_ = false;
  bool last_was_urgent_ = false;
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_WORKER_H_
