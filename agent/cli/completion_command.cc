// countersign completion bash|zsh|fish: what belongs where the shells look for
// it. Packages put it there; whoever builds from source does.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "agent/cli/commands.h"
#include "agent/cli/completion.h"

namespace countersign::agent {

void AddCompletion(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("completion", "Print a shell's completion script");
  command->footer(
      "countersign completion bash > "
      "/usr/share/bash-completion/completions/countersign");
  const auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "Which shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""))
      ->type_name("bash|zsh|fish");
  command->callback([shell, &app, &context] {
    const CommandNode tree = ReadCommandTree(app);
    const std::string text = *shell == "bash"  ? BashCompletion(tree)
                             : *shell == "zsh" ? ZshCompletion(tree)
                                               : FishCompletion(tree);
    std::fputs(text.c_str(), stdout);
    context.exit_code = 0;
  });
}

}  // namespace countersign::agent
