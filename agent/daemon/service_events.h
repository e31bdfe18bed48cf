// Hears at once when the service ends a session: holds one request open at the
// service for as long as there are sessions, and asks again when it is
// answered. Without sessions it does nothing at all.
//
// A convenience and no safeguard: an uplink that withholds the answer is what
// leases are for (freshness.h). Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_SERVICE_EVENTS_H_
#define COUNTERSIGN_AGENT_DAEMON_SERVICE_EVENTS_H_

#include <functional>
#include <string>

#include "agent/daemon/device.h"
#include "agent/daemon/pause.h"
#include "agent/daemon/service_link.h"
#include "agent/daemon/session_registry.h"
#include "attest/base/clock.h"
#include "platform/event_loop.h"

namespace countersign::agent {

class ServiceEvents {
 public:
  // The service takes nothing from this device any more.
  using OnDeviceRefused = std::function<void(const Error& why)>;

  // All outlive it.
  ServiceEvents(platform::EventLoop& loop, const Clock& clock,
                ServiceLink& service, SessionRegistry& sessions,
                OnDeviceRefused on_refused);
  ~ServiceEvents();

  // Another device: what was known of the one before is void.
  void set_device(DevicePtr device);
  // The service has bound a session, and gave this token with it.
  void OnSessionOpen(const std::string& token, uint64_t ledger_index);
  // The uplink is back: worth trying at once.
  void OnUplink();

 private:
  void Pump();
  void PumpAfter(int64_t delay_ms);
  void OnAnswer(ServiceResult result, int64_t asked_ms);

  platform::EventLoop& loop_;
  const Clock& clock_;
  ServiceLink& service_;
  SessionRegistry& sessions_;
  const OnDeviceRefused on_refused_;
  DevicePtr device_;
  std::string token_;   // Empty: none yet, or it was refused.
  uint64_t after_ = 0;  // Ends up to this ledger index are known.
  bool asking_ = false;
  uint64_t generation_ = 0;  // Counts set_device().
  Pause pause_;
  platform::EventLoop::TimerId timer_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_SERVICE_EVENTS_H_
