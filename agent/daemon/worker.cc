#include "agent/daemon/worker.h"

namespace countersign::agent {

Worker::Worker(platform::EventLoop& loop)
    : loop_(loop), thread_([this] { Run(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Worker::Enqueue(Urgency urgency, std::shared_ptr<Task> task) {
  {
    const std::lock_guard lock(mutex_);
    auto& queue = urgency == Urgency::kUrgent ? urgent_ : normal_;
    queue.push_back(std::move(task));
  }
  wake_.notify_one();
}

std::shared_ptr<Worker::Task> Worker::Next() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] {
    return stopping_ || !urgent_.empty() || !normal_.empty();
  });
  if (stopping_) return nullptr;
  const bool urgent =
      !urgent_.empty() && (normal_.empty() || !last_was_urgent_);
  last_was_urgent_ = urgent;
  auto& queue = urgent ? urgent_ : normal_;
  auto task = std::move(queue.front());
  queue.pop_front();
  return task;
}

void Worker::Run() {
  while (auto task = Next()) {
    task->Work();
    // The last reference goes with the loop, so what `done` captured is never
    // destroyed on this thread.
    loop_.Post([task = std::move(task)] { task->Done(); });
  }
}

}  // namespace countersign::agent
