// An event loop on a thread of its own, for tests that speak to it over real
// sockets.
#ifndef COUNTERSIGN_TESTS_AGENT_LOOP_THREAD_H_
#define COUNTERSIGN_TESTS_AGENT_LOOP_THREAD_H_

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "platform/event_loop.h"

namespace countersign::agent {

class LoopThread {
 public:
  LoopThread() : loop_(std::move(*platform::EventLoop::Create())) {
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~LoopThread() { Stop(); }

  // Runs `function` on the loop and waits for it.
  void Sync(const std::function<void()>& function) {
    std::promise<void> done;
    loop_->Post([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Stop() {
    if (!thread_.joinable()) return;
    loop_->Stop();
    thread_.join();
  }
  [[nodiscard]] platform::EventLoop& loop() { return *loop_; }

 private:
  std::unique_ptr<platform::EventLoop> loop_;
  std::thread thread_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_LOOP_THREAD_H_
