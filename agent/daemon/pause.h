// When to try the service or the TPM again after a failure.
//
// Waits ever longer, with jitter, so that a thousand agents do not return as
// one after an outage; never less than the service asked for. A user who asks
// anew may shorten our own wait, never the service's.
#ifndef COUNTERSIGN_AGENT_DAEMON_PAUSE_H_
#define COUNTERSIGN_AGENT_DAEMON_PAUSE_H_

#include <cstdint>
#include <optional>

#include "attest/base/clock.h"
#include "attest/base/result.h"

namespace countersign::agent {

class Pause {
 public:
  static constexpr int64_t kFirstMs = 1'000;
  // However often users ask, no more often than this.
  static constexpr int64_t kBetweenRequestsMs = 250;
  static constexpr int64_t kLastMs = 300'000;

  explicit Pause(const Clock& clock) : clock_(clock) {}

  // Another failure.
  void Begin(const Error& why, uint32_t retry_after_s);
  // It works again.
  void Clear();
  // Something changed (the uplink is back): try now, unless the service asked
  // for more time. True if it is worth trying.
  bool Cut();

  // Why nothing is tried by itself now; nothing when it may be.
  [[nodiscard]] const Error* active() const;
  [[nodiscard]] int64_t left_ms() const;  // Until it may be; else 0.
  // Why not even a fresh request is worth trying yet.
  [[nodiscard]] const Error* blocks_requests() const;

 private:
  const Clock& clock_;
  std::optional<Error> why_;
  int64_t until_ms_ = 0;
  int64_t requests_until_ms_ = 0;
  int64_t asked_until_ms_ = 0;
  int failures_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_PAUSE_H_
