// A session as the commands show it.
#ifndef COUNTERSIGN_AGENT_CLI_SESSION_JSON_H_
#define COUNTERSIGN_AGENT_CLI_SESSION_JSON_H_

#include "agent/cli/output.h"
#include "countersign/v1/agent.pb.h"

namespace countersign::agent {

[[nodiscard]] Json LoginJson(const v1::LoginInfo& login);

[[nodiscard]] Json SessionJson(const v1::SessionInfo& session);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_SESSION_JSON_H_
