// Keeps the epoch nonce and the leases of sessions fresh, when they are used
// and never by a timer.
//
// Ages count from when a request was sent, on the clock that only goes
// forward: an uplink that delays an answer shortens what the answer is worth.
// Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_FRESHNESS_H_
#define COUNTERSIGN_AGENT_DAEMON_FRESHNESS_H_

#include <functional>
#include <string>
#include <vector>

#include "agent/daemon/device.h"
#include "agent/daemon/service_link.h"
#include "agent/daemon/session_registry.h"
#include "attest/base/clock.h"

namespace countersign::agent {

class Freshness {
 public:
  using Done = std::function<void(tl::expected<void, ServiceFailure>)>;

  Freshness(ServiceLink& service, SessionRegistry& sessions, const Clock& clock)
      : service_(service), sessions_(sessions), clock_(clock) {}

  // The nonce that a batch closed now may carry; empty when there is none
  // young enough to be quoted and sent in time.
  [[nodiscard]] const std::string& EpochNonce() const;

  // Asks for a fresh nonce and for new leases of `session_ids` in one request.
  // One at a time: refreshing() says whether one is under way.
  void Refresh(const Device& device, std::vector<std::string> session_ids,
               Done done);
  [[nodiscard]] bool refreshing() const { return refreshing_; }

  // What another answer brought along; `asked_ms` is when it was asked for.
  void OnNonce(const std::string& nonce, uint32_t ttl_s, int64_t asked_ms);
  // Another device, or none: what was fresh is worth nothing.
  // An answer that is still on its way is too, and its `done` never runs.
  void Forget() {
    nonce_.clear();
    refreshing_ = false;
    ++generation_;
  }

 private:
  ServiceLink& service_;
  SessionRegistry& sessions_;
  const Clock& clock_;
  std::string nonce_;
  std::string none_;
  int64_t nonce_until_ms_ = 0;
  bool refreshing_ = false;
  uint64_t generation_ = 0;  // Counts Forget().
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_FRESHNESS_H_
