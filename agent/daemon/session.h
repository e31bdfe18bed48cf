// One session as the daemon holds it: one user, one workload instance, bound
// at the service. Plain data; SessionRegistry keeps it.
#ifndef COUNTERSIGN_AGENT_DAEMON_SESSION_H_
#define COUNTERSIGN_AGENT_DAEMON_SESSION_H_

#include <memory>
#include <optional>
#include <string>

#include "agent/daemon/session_key.h"
#include "agent/daemon/workload.h"
#include "attest/base/bytes.h"
#include "attest/tpm/quote.h"
#include "countersign/v1/agent.pb.h"
#include "countersign/v1/statements.pb.h"
#include "platform/peer_identity.h"

namespace countersign::agent {

enum class SessionState : uint8_t { kReserved, kOpening, kOpen, kEnded };

struct Session {
  std::string id;  // 16 random bytes.
  SessionState state = SessionState::kReserved;
  uint32_t uid = 0;
  std::string purpose;
  std::string task_id;
  std::string origin;        // As the caller said.
  std::string relay_origin;  // As the browser told the relay, or empty.
  uint32_t lifetime_s = 0;

  // Who may use it, with its descendants. Of a reserved session nobody yet.
  std::optional<platform::PinnedPeer> owner;
  OwnerIs owner_is = OwnerIs::kAlone;
  bool by_relay = false;  // Opened through a relay.
  // The process that reserved it, and alone may name the owner.
  uint32_t reserved_by_pid = 0;
  uint64_t reserved_by_start = 0;

  v1::User user;
  std::optional<v1::LoginInfo> login;  // That `user` rests on.
  v1::Workload workload;
  std::shared_ptr<SessionKey> key;
  Sha256Digest binding_digest{};
  tpm::TpmClock boot;  // When it was quoted.
  // The service may hold it for open: its end is to be told there.
  bool at_service = false;

  int64_t opened_at_ms = 0;   // Host clock, for people.
  int64_t expires_at_ms = 0;  // Host clock, for people.
  int64_t expires_mono_ms = 0;
  int64_t lease_until_mono_ms = 0;
  uint64_t actions = 0;
  uint64_t ledger_index = 0;
  std::string client_attestation;  // JWT of the service.
  std::string end_reason;
};
using SessionPtr = std::shared_ptr<Session>;

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_SESSION_H_
