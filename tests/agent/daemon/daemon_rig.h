// A whole daemon in this process: real sockets, state and threads, a FakeTpm
// and a TestService.
#ifndef COUNTERSIGN_TESTS_AGENT_DAEMON_DAEMON_RIG_H_
#define COUNTERSIGN_TESTS_AGENT_DAEMON_DAEMON_RIG_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "agent/daemon/daemon.h"
#include "agent/ipc/client.h"
#include "attest/base/clock.h"
#include "platform/state_store.h"
#include "tests/agent/daemon/test_service.h"
#include "tests/agent/daemon/test_uplink.h"
#include "tests/agent/loop_thread.h"
#include "tests/fakes/fake_tpm.h"

namespace countersign::agent {

// The system's clock, moved by a test.
class MovableClock final : public Clock {
 public:
  int64_t NowMs() const override { return system_.NowMs() + wall_ms; }
  int64_t MonotonicMs() const override {
    return system_.MonotonicMs() + monotonic_ms;
  }
  std::atomic<int64_t> wall_ms = 0;
  std::atomic<int64_t> monotonic_ms = 0;

 private:
  SystemClock system_;
};

// A store whose writes fail when a test says so.
class FailingStore final : public platform::StateStore {
 public:
  explicit FailingStore(std::unique_ptr<platform::StateStore> real)
      : real_(std::move(real)) {}
  Result<std::optional<Bytes>> Get(std::string_view key) override {
    return real_->Get(key);
  }
  Result<std::vector<Entry>> Scan(std::string_view prefix,
                                  std::string_view after,
                                  size_t limit) override {
    return real_->Scan(prefix, after, limit);
  }
  Status Commit(std::span<const Write> writes) override {
    if (failing) return Fail(ErrorCode::kDiskFull, "as asked");
    ++commits;
    return real_->Commit(writes);
  }
  std::atomic<bool> failing = false;
  std::atomic<int> commits = 0;

 private:
  std::unique_ptr<platform::StateStore> real_;
};

class DaemonRig {
 public:
  // Starts daemon and uplink; the device is not enrolled yet.
  explicit DaemonRig(std::function<void(AgentConfig&)> configure = {});
  ~DaemonRig();

  void StartDaemon();
  // Without a word to anybody, like a crash.
  void StopDaemon();
  void Restart() {
    StopDaemon();
    StartDaemon();
  }

  [[nodiscard]] Client Connect() const;
  Result<v1::Response> Call(const v1::Request& request) const;
  Result<v1::EnrollResponse> Enroll();
  // Opens a session for this process; its id.
  Result<std::string> OpenSession(Client& client);
  Result<v1::AuthorizeResponse> Authorize(Client& client,
                                          const std::string& session,
                                          const std::string& name = "test:do");
  [[nodiscard]] v1::StatusResponse Status() const;
  void Reconfigure(const Result<AgentConfig>& config);
  // Runs Drain and waits for its end.
  void Drain(std::chrono::milliseconds at_most);

  // What the daemon reported so far, one line each.
  [[nodiscard]] std::string reported() const;

  std::string folder;
  AgentConfig config;
  MovableClock clock;
  fakes::FakeTpm tpm;
  TestService service;
  std::unique_ptr<TestUplink> uplink;
  FailingStore* store = nullptr;  // Of the running daemon.

 private:
  mutable std::mutex mutex_;
  std::string reported_;
  std::unique_ptr<LoopThread> thread_;
  std::unique_ptr<platform::StateStore> store_;
  std::unique_ptr<Daemon> daemon_;
};

// The requests that tests make.
[[nodiscard]] v1::Request OpenSessionAsk(const std::string& purpose = "test");
[[nodiscard]] v1::Request AuthorizeAsk(const std::string& session,
                                       const std::string& name = "test:do");

// Waits at most ten seconds.
[[nodiscard]] bool Eventually(const std::function<bool()>& condition);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_DAEMON_DAEMON_RIG_H_
