// countersign-authz: the relying party. Appraises evidence, decides, writes
// the ledger and only then grants.
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>

#include "attest/authz/commands/commands.h"
#include "attest/base/text.h"
#include "attest/proto/silence.h"

namespace countersign::authz {

void Context::Run(const std::function<Result<int>(Installation&)>& work,
                  SqlStore::Mode mode) {
  auto installation = Installation::Open(config_path, mode);
  if (!installation) {
    exit_code = console.Fail(installation.error());
    return;
  }
  const Result<int> ran = work(**installation);
  exit_code = ran ? *ran : console.Fail(ran.error());
}

std::string LocalActor() {
  const uid_t uid = ::getuid();
  std::string number = "uid " + std::to_string(uid);
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return number;
  }
  return std::string(found->pw_name) + " (" + number + ")";
}

namespace {

// Help that shows first how a command is used.
class ExampleFirst final : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    std::string text = CLI::Formatter::make_description(app);
    if (app->get_footer().empty()) return text;
    return "Example:\n  " + app->get_footer() + "\n\n" + text;
  }
  std::string make_footer(const CLI::App*) const override { return ""; }
};

// --config and --json may stand anywhere on the line.
void AddSharedFlags(CLI::App& app, Context& context) {
  for (CLI::App* command : app.get_subcommands({})) {
    command->fallthrough();
    AddSharedFlags(*command, context);
  }
}

void BuildApp(CLI::App& app, Context& context) {
  app.formatter(std::make_shared<ExampleFirst>());
  app.footer("countersign-authz serve --config authz.toml");
  app.require_subcommand(1);
  app.set_version_flag("--version", "countersign-authz " COUNTERSIGN_VERSION,
                       "Show the version");
  app.add_option("--config", context.config_path, "The service's authz.toml")
      ->type_name("FILE");
  app.add_flag_callback(
      "--json", [&context] { context.console.set_json(true); },
      "Answer as JSON");
  AddInit(app, context);
  AddServe(app, context);
  AddDevice(app, context);
  AddToken(app, context);
  AddStore(app, context);
  AddClient(app, context);
  AddAudit(app, context);
  AddPolicy(app, context);
  AddSharedFlags(app, context);
}

int Main(int argc, char** argv) {
  SilenceProtobufLog();
  Context context;
  context.console.set_json(std::any_of(
      argv + 1, argv + argc,
      [](std::string_view argument) { return argument == "--json"; }));
  CLI::App app("The authorization service of Countersign.",
               "countersign-authz");
  BuildApp(app, context);
  if (argc == 1) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::CallForVersion&) {
    std::fputs((app.version() + "\n").c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return context.console.FailUsage(Printable(error.what(), 400),
                                     "See countersign-authz --help.");
  }
  return context.exit_code;
}

}  // namespace
}  // namespace countersign::authz

int main(int argc, char** argv) {
  try {
    return countersign::authz::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "countersign-authz: %s\n", error.what());
    return 1;
  }
}
