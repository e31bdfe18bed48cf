// The commands of countersign-authz, one file each. Every function hangs its
// command below `app`; when the command line names it, it runs and leaves its
// exit code in `context`, which outlives `app`.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_COMMANDS_COMMANDS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_COMMANDS_COMMANDS_H_

#include <functional>
#include <string>

#include "attest/authz/commands/console.h"
#include "attest/authz/installation.h"

namespace CLI {
class App;
}

namespace countersign::authz {

struct Context {
  std::string config_path = "/etc/countersign/authz/authz.toml";
  Console console;
  int exit_code = 0;

  // Opens the service's folder and runs `work` in it; reports what fails.
  void Run(const std::function<Result<int>(Installation&)>& work,
           SqlStore::Mode mode = SqlStore::Mode::kMustExist);
};

// Who runs this command, for the ledger: "root (uid 0)".
[[nodiscard]] std::string LocalActor();

void AddInit(CLI::App& app, Context& context);
void AddServe(CLI::App& app, Context& context);
void AddDevice(CLI::App& app, Context& context);
void AddToken(CLI::App& app, Context& context);
void AddStore(CLI::App& app, Context& context);
void AddClient(CLI::App& app, Context& context);
void AddAudit(CLI::App& app, Context& context);
void AddPolicy(CLI::App& app, Context& context);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_COMMANDS_COMMANDS_H_
