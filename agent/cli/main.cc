// countersign: the agent's command line.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>

#include "agent/cli/command_tree.h"
#include "agent/cli/commands.h"
#include "agent/cli/suggest.h"
#include "attest/base/text.h"
#include "attest/proto/silence.h"

namespace countersign::agent {
namespace {

// Help that shows first how a command is used. The example is kept where
// CLI11 has the text at the end.
class ExampleFirst final : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    std::string text = CLI::Formatter::make_description(app);
    if (app->get_footer().empty()) return text;
    return "Example:\n  " + app->get_footer() + "\n\n" + text;
  }
  std::string make_footer(const CLI::App*) const override { return ""; }
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string text = CLI::Formatter::make_usage(app, std::move(name));
    if (app->get_name() != "run") return text;
    while (text.ends_with('\n')) text.pop_back();
    return text + " -- CMD…\n\n";
  }
};

void AddJsonFlag(CLI::App& app, Context& context) {
  for (CLI::App* command : app.get_subcommands({})) {
    command->fallthrough();
    if (!command->get_subcommands({}).empty()) {
      AddJsonFlag(*command, context);
      continue;
    }
    // What `run` prints is its command's, and a script is no JSON.
    const bool only_errors =
        command->get_name() == "run" || command->get_name() == "completion";
    command->add_flag_callback(
        "--json", [&context] { context.output.set_json(true); },
        only_errors ? "Errors as JSON" : "Answer as JSON");
  }
}

// What is sent as text has to be text: the daemon would only find a message
// that it cannot read. Names of files may be any bytes.
void AddTextChecks(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (ReadOption(*option).value != ValueKind::kText) continue;
    option->check(CLI::Validator(
        [](const std::string& text) {
          return IsUtf8(text) ? std::string() : "not valid UTF-8";
        },
        ""));
  }
  for (CLI::App* command : app.get_subcommands({})) AddTextChecks(*command);
}

void BuildApp(CLI::App& app, Context& context) {
  app.formatter(std::make_shared<ExampleFirst>());
  app.footer("countersign run --purpose \"fix the build\" -- my-agent");
  app.require_subcommand(1);
  app.set_version_flag("--version", "countersign " COUNTERSIGN_VERSION,
                       "Show the version");
  app.add_option_function<std::string>(
         "--config",
         [&context](const std::string& path) {
           context.config_path = path;
           context.config_given = true;
         },
         "The agent's configuration")
      ->type_name("FILE");
  app.add_option("--socket", context.socket, "Socket of countersignd")
      ->envname(kSocketVariable)
      ->type_name("FILE");
  app.add_option("--state-dir", context.state_dir,
                 "Taken as by every program; this one keeps no state")
      ->type_name("DIR");
  AddStatus(app, context);
  AddEnroll(app, context);
  AddLogin(app, context);
  AddRun(app, context);
  AddSession(app, context);
  AddAuthorize(app, context);
  AddApprove(app, context);
  AddDpop(app, context);
  AddVerify(app, context);
  AddExport(app, context);
  AddDoctor(app, context);
  AddCompletion(app, context);
  AddJsonFlag(app, context);
  AddTextChecks(app);
}

// The command that the line had got to when it went wrong.
const CLI::App& Deepest(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Deepest(*chosen.back());
}

// "countersign session open".
std::string FullName(const CLI::App& command) {
  if (command.get_parent() == nullptr) return command.get_name();
  return FullName(*command.get_parent()) + " " + command.get_name();
}

int FailParse(const CLI::App& app, const CLI::ParseError& error,
              const Output& output) {
  const CLI::App& command = Deepest(app);
  const std::string name = FullName(command);
  const std::string help = "See " + name + " --help.";
  const auto left = app.remaining(true);
  if (left.empty()) return output.FailUsage(error.what(), help);
  std::vector<std::string> known;
  const CommandNode tree = ReadCommandTree(command);
  for (const CommandNode& below : tree.commands) {
    known.push_back(below.path.back());
  }
  for (const OptionNode& option : tree.options) known.push_back(option.name);
  const std::string nearest = NearestName(left.front(), known);
  return output.FailUsage(
      "'" + Printable(left.front(), 80) + "' is not known to " + name + ".",
      nearest.empty() ? help : "Did you mean '" + nearest + "'?");
}

// Data that did not get out is a failure, whatever the command came to.
int FlushData(int exit_code) {
  if (exit_code != 0) return exit_code;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return Output().Fail(
      {ErrorCode::kIoError, "standard output cannot be written"});
}

int Main(std::vector<std::string> arguments) {
  SilenceProtobufLog();
  Context context;
  // Everything after "--" belongs to the command to run, byte for byte.
  const auto mark = std::ranges::find(arguments, "--");
  if (mark != arguments.end()) {
    context.command.assign(mark + 1, arguments.end());
    arguments.erase(mark, arguments.end());
  }
  context.output.set_json(std::ranges::find(arguments, "--json") !=
                          arguments.end());
  CLI::App app("Hardware-backed proof of what an AI agent did, and for whom.",
               "countersign");
  BuildApp(app, context);
  if (arguments.empty()) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  std::ranges::reverse(arguments);  // As CLI11 wants them.
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return FlushData(0);
  } catch (const CLI::CallForVersion&) {
    std::fputs((app.version() + "\n").c_str(), stdout);
    return FlushData(0);
  } catch (const CLI::ParseError& error) {
    return FailParse(app, error, context.output);
  }
  return FlushData(context.exit_code);
}

}  // namespace
}  // namespace countersign::agent

int main(int argc, char** argv) {
  try {
    return countersign::agent::Main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "countersign: %s\n", error.what());
    return 1;
  }
}
