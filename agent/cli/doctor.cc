// countersign doctor: what works and what does not, with what to do about it.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"

namespace countersign::agent {
namespace {

v1::DoctorCheck CheckOf(const char* name, const Status& status,
                        std::string detail) {
  v1::DoctorCheck check;
  check.set_name(name);
  check.set_ok(status.has_value());
  if (status.has_value()) {
    check.set_detail(std::move(detail));
  } else {
    check.set_detail(std::string(Message(status.error().code)) + " " +
                     status.error().detail);
    check.set_hint(std::string(Remedy(status.error().code)));
  }
  return check;
}

// The file as this command reads it; the daemon's own check follows as
// "config": the two may differ, by --config or by what either may read.
v1::DoctorCheck CheckConfig(const Context& context) {
  const auto config =
      LoadAgentConfig(context.config_path, context.config_given);
  if (!config.has_value()) {
    return CheckOf("client-config", tl::unexpected(config.error()), "");
  }
  v1::DoctorCheck check =
      CheckOf("client-config", {},
              config->source.empty() ? "defaults" : config->source);
  for (const std::string& warning : config->warnings) {
    check.set_hint(check.hint() + (check.hint().empty() ? "" : "; ") + warning);
  }
  return check;
}

// Fills `checks`; what the daemon says last. The exit code.
int Examine(const Context& context, std::vector<v1::DoctorCheck>& checks) {
  checks.push_back(CheckConfig(context));
  auto client = context.Connect();
  if (!client.has_value()) {
    checks.push_back(CheckOf("daemon", tl::unexpected(client.error()), ""));
    return ExitCode(client.error().code);
  }
  checks.push_back(CheckOf("daemon", {}, client->daemon_version()));
  v1::Request request;
  request.mutable_doctor();
  const auto response = client->Call(std::move(request), kActionTimeout);
  if (!response.has_value()) {
    checks.push_back(
        CheckOf("daemon-checks", tl::unexpected(response.error()), ""));
    return ExitCode(response.error().code);
  }
  for (const auto& check : response->doctor().checks()) checks.push_back(check);
  const bool ok = std::ranges::all_of(
      checks, [](const v1::DoctorCheck& check) { return check.ok(); });
  return ok ? 0 : 1;
}

int Run(const Context& context) {
  std::vector<v1::DoctorCheck> checks;
  const int exit_code = Examine(context, checks);
  if (context.output.json()) {
    Json list = Json::array();
    for (const v1::DoctorCheck& check : checks) {
      list.push_back({{"name", check.name()},
                      {"ok", check.ok()},
                      {"detail", check.detail()},
                      {"remedy", check.hint()}});
    }
    context.output.PrintJson({{"ok", exit_code == 0}, {"checks", list}});
    return exit_code;
  }
  for (const v1::DoctorCheck& check : checks) {
    context.output.Check(check.ok() ? Mark::kOk : Mark::kFailed, check.name(),
                         check.detail(), check.hint());
  }
  return exit_code;
}

}  // namespace

void AddDoctor(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Check the configuration, the daemon, the TPM and the service");
  command->footer("countersign doctor");
  command->callback([&context] { context.exit_code = Run(context); });
}

}  // namespace countersign::agent
