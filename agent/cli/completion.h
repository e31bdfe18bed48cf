// Completion scripts for the shells, made from the command tree.
#ifndef COUNTERSIGN_AGENT_CLI_COMPLETION_H_
#define COUNTERSIGN_AGENT_CLI_COMPLETION_H_

#include "agent/cli/command_tree.h"

namespace countersign::agent {

[[nodiscard]] std::string BashCompletion(const CommandNode& root);
[[nodiscard]] std::string ZshCompletion(const CommandNode& root);
[[nodiscard]] std::string FishCompletion(const CommandNode& root);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_COMPLETION_H_
