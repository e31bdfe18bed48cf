// The command line's grammar as plain data, read from the very objects that
// parse it: what help, suggestions and shell completions are made from, so
// that none of them can drift from what is accepted.
#ifndef COUNTERSIGN_AGENT_CLI_COMMAND_TREE_H_
#define COUNTERSIGN_AGENT_CLI_COMMAND_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): a library.
class App;
class Option;
}  // namespace CLI

namespace countersign::agent {

enum class ValueKind : uint8_t { kNone, kText, kFile, kFolder, kChoice };

struct OptionNode {
  std::string name;  // "--purpose"; empty for a positional.
  std::string help;
  ValueKind value = ValueKind::kNone;
  std::vector<std::string> choices;  // Of a kChoice.
};

struct CommandNode {
  std::vector<std::string> path;  // {} for the program, {"session", "open"}.
  std::string help;
  std::vector<OptionNode> options;  // Its own; the program's hold as well.
  std::vector<OptionNode> positionals;
  std::vector<CommandNode> commands;
};

// An option's value is a choice if its type name
// is in lower case ("action|session"), a file or folder if that is FILE,
// BUNDLE or DIR.
[[nodiscard]] CommandNode ReadCommandTree(const CLI::App& app);
[[nodiscard]] OptionNode ReadOption(const CLI::Option& option);

// Every node, parents first.
[[nodiscard]] std::vector<const CommandNode*> AllCommands(
    const CommandNode& root);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_COMMAND_TREE_H_
