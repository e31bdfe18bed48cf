// The uplink's end of the daemon's socket, on a thread, in front of a
// TestService.
#ifndef COUNTERSIGN_TESTS_AGENT_DAEMON_TEST_UPLINK_H_
#define COUNTERSIGN_TESTS_AGENT_DAEMON_TEST_UPLINK_H_

#include <atomic>
#include <string>
#include <thread>

#include "tests/agent/daemon/test_service.h"

namespace countersign::agent {

class TestUplink {
 public:
  TestUplink(std::string socket, TestService& service);
  ~TestUplink() { Stop(); }
  TestUplink(const TestUplink&) = delete;
  TestUplink& operator=(const TestUplink&) = delete;

  // Requests of a lane are answered one after the other, lanes beside one
  // another, as by the real one. A second call after Stop() connects again.
  void Start();
  void Stop();

 private:
  void Run();

  const std::string socket_;
  TestService& service_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_DAEMON_TEST_UPLINK_H_
