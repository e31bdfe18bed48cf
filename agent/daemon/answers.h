// From what the service decided to what the client is told. Pure.
#ifndef COUNTERSIGN_AGENT_DAEMON_ANSWERS_H_
#define COUNTERSIGN_AGENT_DAEMON_ANSWERS_H_

#include "agent/daemon/batch.h"
#include "agent/daemon/device.h"
#include "agent/daemon/state.pb.h"
#include "countersign/v1/agent.pb.h"

namespace countersign::agent {

// Grant and receipt only with a permit, whatever the decision carries.
[[nodiscard]] v1::AuthorizeResponse ToAuthorizeResponse(
    const ActionOutcome& outcome, const std::string& request);

// All Evidence of one permitted action. `session` is the journal's record.
[[nodiscard]] v1::EvidenceBundle BuildBundle(const Device& device,
                                             const state::OpenSession& session,
                                             const ActionOutcome& outcome);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_ANSWERS_H_
