// The commands, one file each. Every function hangs its command below `app`;
// when the command line names it, it runs and leaves its exit code in
// `context`, which outlives `app`.
#ifndef COUNTERSIGN_AGENT_CLI_COMMANDS_H_
#define COUNTERSIGN_AGENT_CLI_COMMANDS_H_

#include "agent/cli/context.h"

namespace CLI {  // NOLINT(readability-identifier-naming): a library.
class App;
}

namespace countersign::agent {

void AddStatus(CLI::App& app, Context& context);
void AddEnroll(CLI::App& app, Context& context);
// Also "logout".
void AddLogin(CLI::App& app, Context& context);
void AddRun(CLI::App& app, Context& context);
void AddSession(CLI::App& app, Context& context);
void AddAuthorize(CLI::App& app, Context& context);
void AddApprove(CLI::App& app, Context& context);
void AddDpop(CLI::App& app, Context& context);
void AddVerify(CLI::App& app, Context& context);
void AddExport(CLI::App& app, Context& context);
void AddDoctor(CLI::App& app, Context& context);
// Prints shell completions of all of them.
void AddCompletion(CLI::App& app, Context& context);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_COMMANDS_H_
