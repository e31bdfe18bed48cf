// Asks countersignd for many actions, as many clients would, and cheaply.
//
// One session of this process's own, used over several connections; each
// request is a whole Authorize frame, each answer is parsed and must be a
// permit, or the measurement is an error. One thread; not thread-safe.
#ifndef COUNTERSIGN_TESTS_BENCH_LOAD_CLIENT_H_
#define COUNTERSIGN_TESTS_BENCH_LOAD_CLIENT_H_

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "agent/ipc/frame.h"
#include "attest/base/result.h"
#include "platform/local_socket.h"

namespace countersign::bench {

using Seconds = std::chrono::duration<double>;
using TimePoint = std::chrono::steady_clock::time_point;

struct Measurement {
  size_t completed = 0;  // Inside the window.
  double seconds = 0;    // From the first to the last completion of it.
  size_t all = 0;        // Before and after the window as well.
  std::vector<double> latencies_ms;  // Of what completed inside the window.
};

class LoadClient {
 public:
  struct Options {
    std::string socket;
    size_t connections = 4;
    // Empty: no grant is asked for.
    std::string audience;
  };

  // Connects and opens a session.
  [[nodiscard]] static Result<std::unique_ptr<LoadClient>> Connect(
      const Options& options);
  ~LoadClient();

  // Keeps `outstanding` requests under way; measures `window` after `warm_up`.
  // Nothing is under way when it returns.
  [[nodiscard]] Result<Measurement> Flood(size_t outstanding, Seconds warm_up,
                                          Seconds window);
  // Asks for exactly `count` actions, `outstanding` at a time.
  [[nodiscard]] Result<Measurement> Count(size_t outstanding, size_t count);
  // Sends at a fixed rate whatever the answers do; a latency counts from when
  // its request was due, so that a stall is not hidden by sending less.
  [[nodiscard]] Result<Measurement> AtRate(double per_second, Seconds window);
  // One request; its latency in milliseconds.
  [[nodiscard]] Result<double> One();

 private:
  struct Link;

  explicit LoadClient(const Options& options);
  [[nodiscard]] Status OpenLinks();
  [[nodiscard]] Status OpenSession();
  void Ask(TimePoint due);
  [[nodiscard]] Status Turn(std::chrono::milliseconds wait);
  [[nodiscard]] Status ReadFrom(Link& link);
  [[nodiscard]] Status OnAnswer(ByteSpan payload);
  [[nodiscard]] Status Drain();
  [[nodiscard]] size_t under_way() const { return asked_ - answered_; }

  const Options options_;
  std::vector<std::unique_ptr<Link>> links_;
  std::string session_id_;
  std::deque<TimePoint> due_;  // Of requests from number first_due_ on.
  uint64_t first_due_ = 1;
  uint64_t next_id_ = 1;
  uint64_t asked_ = 0;
  uint64_t answered_ = 0;
  // Filled while measuring.
  bool measuring_ = false;
  TimePoint first_{};
  TimePoint last_{};
  std::vector<double> latencies_ms_;
};

}  // namespace countersign::bench

#endif  // COUNTERSIGN_TESTS_BENCH_LOAD_CLIENT_H_
