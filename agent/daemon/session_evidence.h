// What a session's Evidence consists of, put together from typed parts. Pure.
#ifndef COUNTERSIGN_AGENT_DAEMON_SESSION_EVIDENCE_H_
#define COUNTERSIGN_AGENT_DAEMON_SESSION_EVIDENCE_H_

#include <string>

#include "agent/daemon/device.h"
#include "agent/daemon/session.h"
#include "attest/base/result.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/service.pb.h"

namespace countersign::agent {

struct BindingInputs {
  std::string nonce;         // 32 bytes, the service's challenge.
  std::string tls_exporter;  // Of the connection that brought it.
  Bytes event_log;
  int64_t issued_at_ms = 0;
  uint32_t lifetime_s = 0;
};

// The exact bytes of the SessionBinding. `session` has user, workload and key.
[[nodiscard]] Bytes BuildSessionBinding(const Device& device,
                                        const Session& session,
                                        const BindingInputs& inputs);

// Its Evidence but for the TPM's part.
[[nodiscard]] v1::SessionEvidence BeginSessionEvidence(const Session& session,
                                                       ByteSpan binding,
                                                       const Bytes& event_log);

// Checks the client attestation in the service's answer: a JWT of the pinned
// keys, from this issuer, for exactly this session's key. kAnswerInvalid.
[[nodiscard]] Status CheckClientAttestation(const Device& device,
                                            const Session& session,
                                            const std::string& attestation);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_SESSION_EVIDENCE_H_
