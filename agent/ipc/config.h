// The agent's configuration: one JSON file (the managed-policy schema) that
// every program of the agent reads, each taking what concerns it.
//
// Unknown keys are warnings, with the nearest known name, so that a newer file
// does not stop an older agent; a wrong type or value is an error that names
// the line. Nothing here is secret.
#ifndef COUNTERSIGN_AGENT_IPC_CONFIG_H_
#define COUNTERSIGN_AGENT_IPC_CONFIG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/result.h"

namespace countersign::agent {

inline constexpr char kDefaultConfigPath[] = "/etc/countersign/agent.json";
inline constexpr size_t kMaxConfigSize = 256 * 1024;

struct AgentConfig {
  struct Service {
    std::string url;        // Issuer; https (http to loopback only).
    std::string ca_file;    // PEM; empty: the system's.
    std::string jwks_file;  // Pinned service keys; empty: from enrollment.
    std::string proxy;      // URL; empty or "none": no proxy.
  } service;
  struct Tpm {
    std::string tcti;  // Empty: device:/dev/tpmrm0.
    std::string event_log =
        "/sys/kernel/security/tpm0/binary_bios_measurements";
  } tpm;
  std::string state_dir = "/var/lib/countersign";
  std::string socket = "/run/countersign/agent.sock";
  std::string uplink_socket = "/run/countersign/uplink.sock";
  std::string uplink_user;          // Account name; empty: the daemon's own.
  std::vector<std::string> relays;  // Paths; empty: siblings of the daemon.
  bool relays_set = false;
  struct Session {
    bool tpm_key = false;  // "key": "memory" or "tpm".
    uint32_t lifetime_s = 8 * 3600;
    uint32_t open_timeout_ms = 30'000;
  } session;
  struct Limits {
    uint32_t outstanding_per_peer = 256;
    uint32_t outstanding_total = 8192;
    uint32_t connections = 4096;
    uint32_t max_batch = 2048;
  } limits;

  std::string source;  // The file it came from; empty: defaults only.
  std::vector<std::string> warnings;  // "FILE:LINE: …", one each.
};

// Parses `text` as the contents of the file `name`.
//   kConfigInvalid  "NAME:LINE: …": not JSON (a byte-order mark and duplicate
//                   keys included), a wrong type, a value out of range
[[nodiscard]] Result<AgentConfig> ParseAgentConfig(std::string_view text,
                                                   const std::string& name);

// Reads and parses the file at `path`. A missing file means the defaults
// unless `must_exist`.
//   kUnsafePath     a link, not a file, owned by neither root nor this
//                   account, or writable by others: it says which path
//   kConfigInvalid  as above, or longer than kMaxConfigSize
//   kNotFound       missing, and must_exist
[[nodiscard]] Result<AgentConfig> LoadAgentConfig(const std::string& path,
                                                  bool must_exist);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_IPC_CONFIG_H_
