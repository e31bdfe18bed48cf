// Looks at everything that has to work and says what does not, and what to do.
//
// Every check is made now; only that TPM or service were well is believed for
// some seconds, so that whoever asks again and again, as any user may, does not
// keep them from their work. Holds no secret and changes nothing. Belongs to
// the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_DOCTOR_H_
#define COUNTERSIGN_AGENT_DAEMON_DOCTOR_H_

#include <functional>
#include <memory>
#include <string>

#include "agent/daemon/device.h"
#include "agent/daemon/service_link.h"
#include "agent/daemon/tpm_queue.h"
#include "agent/daemon/worker.h"
#include "agent/ipc/config.h"
#include "countersign/v1/agent.pb.h"

namespace countersign::agent {

// What is asked about, as it is at this moment.
struct DoctorSubject {
  const AgentConfig* config = nullptr;
  std::string config_error;  // Why the file on disk is not in use; or empty.
  DevicePtr device;          // Null: not enrolled.
  Error why_no_device{ErrorCode::kNotEnrolled, {}};
  bool uplink_connected = false;
  size_t undelivered = 0;
  size_t sessions = 0;      // Of the caller.
  size_t stale_leases = 0;  // Of these, not confirmed lately.
};

class Doctor {
 public:
  struct Parts {
    const Clock& clock;
    TpmQueue& tpm;
    Worker& files;
    ServiceLink& service;
  };

  static constexpr int64_t kBelievedForMs = 5'000;

  explicit Doctor(const Parts& parts);
  ~Doctor();

  // Checks, in this order: config, tpm, endorsement-keys, event-log,
  // uplink, service (a live challenge), clock, enrollment, sessions, backlog,
  // disk, relays, sockets. `done` runs once.
  void Examine(DoctorSubject subject,
               std::function<void(v1::DoctorResponse)> done);

 private:
  struct Memory;
  class Examination;

  Parts parts_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_DOCTOR_H_
