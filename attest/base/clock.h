// The time, as an interface so that tests can make it jump.
#ifndef COUNTERSIGN_ATTEST_BASE_CLOCK_H_
#define COUNTERSIGN_ATTEST_BASE_CLOCK_H_

#include <cstdint>

namespace countersign {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970, UTC. May jump either way: a hint on a laptop.
  [[nodiscard]] virtual int64_t NowMs() const = 0;
  // Milliseconds that only go forward, suspend included. Leases and deadlines
  // on the laptop rest on this one.
  [[nodiscard]] virtual int64_t MonotonicMs() const = 0;
};

// CLOCK_REALTIME and CLOCK_BOOTTIME.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] int64_t NowMs() const override;
  [[nodiscard]] int64_t MonotonicMs() const override;
};

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_CLOCK_H_
