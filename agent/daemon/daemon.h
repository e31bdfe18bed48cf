// countersignd put together: every part of the daemon, wired to the others.
// main.cc gives it the machine; tests give it fakes.
#ifndef COUNTERSIGN_AGENT_DAEMON_DAEMON_H_
#define COUNTERSIGN_AGENT_DAEMON_DAEMON_H_

#include <functional>
#include <memory>
#include <string>

#include "agent/ipc/config.h"
#include "attest/base/clock.h"
#include "attest/base/result.h"
#include "platform/event_loop.h"
#include "platform/local_socket.h"
#include "platform/state_store.h"
#include "platform/tpm.h"

namespace countersign::agent {

class Daemon {
 public:
  // The machine; all of it outlives the daemon.
  struct Machine {
    platform::EventLoop& loop;
    const Clock& clock;
    platform::Tpm& tpm;
    platform::StateStore& store;
  };
  // What an administrator wants to know; few lines, none for an action.
  using Report = std::function<void(const std::string& line)>;

  // Reads what an earlier run left and checks the files that `config` names.
  //   kUnsafePath, kConfigInvalid, kNotFound   jwks_file, ca_file, uplink_user
  //   kStorageCorrupt, kIoError                the state
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> Create(
      const Machine& machine, const AgentConfig& config, Report report);
  virtual ~Daemon() = default;

  // Serves clients on `agent` and the uplink on `uplink`.
  [[nodiscard]] virtual Status Listen(platform::LocalListener agent,
                                      platform::LocalListener uplink) = 0;

  // Another configuration file was read, or `error` says why it was not: then
  // the last good one stays in use. Paths of sockets and state, the TPM and
  // the uplink's account take effect at the next start.
  virtual void Reconfigure(const Result<AgentConfig>& config) = 0;

  // Takes no new work, ends what it can within `at_most` and calls `done`.
  virtual void Drain(std::chrono::milliseconds at_most,
                     std::function<void()> done) = 0;

 protected:
  Daemon() = default;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_DAEMON_H_
