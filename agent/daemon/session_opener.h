// Opens sessions: looks at the workload, gets a challenge, has the TPM quote
// the SessionBinding and the service appraise it.
//
// A few at a time, fairly among users; the rest waits in a bounded queue. The
// binding is built here from typed fields, and nothing of it is the caller's
// word but purpose, task and origin. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_SESSION_OPENER_H_
#define COUNTERSIGN_AGENT_DAEMON_SESSION_OPENER_H_

#include <functional>
#include <memory>
#include <string>

#include "agent/daemon/device.h"
#include "agent/daemon/fair_queue.h"
#include "agent/daemon/freshness.h"
#include "agent/daemon/journal.h"
#include "agent/daemon/logins.h"
#include "agent/daemon/quote_order.h"
#include "agent/daemon/service_events.h"
#include "agent/daemon/service_link.h"
#include "agent/daemon/session_registry.h"
#include "agent/daemon/tpm_queue.h"
#include "agent/daemon/worker.h"
#include "platform/installed_package.h"

namespace countersign::agent {

struct SessionSettings {
  bool tpm_key = false;
  uint32_t lifetime_s = 8 * 3600;
  uint32_t open_timeout_ms = 30'000;
  std::string event_log;  // Path; a missing file means an empty log.
};

class SessionOpener {
 public:
  using Done = std::function<void(Result<SessionPtr>)>;

  // All outlive the opener. `journal` is used on `disk` alone; `files` reads
  // executables and the event log.
  struct Parts {
    platform::EventLoop& loop;
    const Clock& clock;
    TpmQueue& tpm;
    Worker& disk;
    Journal& journal;
    Worker& files;
    platform::ExecutableHasher& hasher;
    platform::PackageFinder& packages;
    ServiceLink& service;
    SessionRegistry& sessions;
    Freshness& freshness;
    ServiceEvents& events;
    QuoteOrder& order;
    Logins& logins;
  };

  static constexpr size_t kAtOnce = 4;
  static constexpr size_t kMaxWaiting = 1024;
  static constexpr size_t kMaxWaitingPerUid = 256;

  SessionOpener(const Parts& parts, SessionSettings settings);
  ~SessionOpener();

  void set_device(DevicePtr device) { device_ = std::move(device); }
  void set_settings(SessionSettings settings) {
    settings_ = std::move(settings);
  }

  // Opens `session` (state kOpening). `done` gets it open, or the reason why
  // it was ended instead:
  //   kBusy                       too many are being opened
  //   kTimeout                    not open in time
  //   kPeerGone, kPeerChanged     the owner
  //   what ServiceLink and platform::Tpm say
  //   kAnswerInvalid              the client attestation is for another key
  void Open(const SessionPtr& session, Done done);

  [[nodiscard]] bool idle() const { return running_ == 0 && queue_.empty(); }

 private:
  class Attempt;

  void StartSome();

  Parts parts_;
  SessionSettings settings_;
  DevicePtr device_;
  FairQueue<std::shared_ptr<Attempt>> queue_;
  size_t running_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_SESSION_OPENER_H_
