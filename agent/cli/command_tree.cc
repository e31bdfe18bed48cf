#include "agent/cli/command_tree.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace countersign::agent {
namespace {

ValueKind KindOf(const std::string& type) {
  if (type == "FILE" || type == "BUNDLE") return ValueKind::kFile;
  if (type == "DIR") return ValueKind::kFolder;
  const bool is_choice =
      !type.empty() && std::ranges::none_of(type, [](unsigned char c) {
        return std::isupper(c) != 0;
      });
  return is_choice ? ValueKind::kChoice : ValueKind::kText;
}

CommandNode ReadNode(const CLI::App& app, std::vector<std::string> path) {
  CommandNode node;
  node.path = std::move(path);
  node.help = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    OptionNode read = ReadOption(*option);
    (read.name.empty() ? node.positionals : node.options)
        .push_back(std::move(read));
  }
  for (const CLI::App* command : app.get_subcommands({})) {
    std::vector<std::string> below = node.path;
    below.push_back(command->get_name());
    node.commands.push_back(ReadNode(*command, std::move(below)));
  }
  return node;
}

void Collect(const CommandNode& node, std::vector<const CommandNode*>& all) {
  all.push_back(&node);
  for (const CommandNode& command : node.commands) Collect(command, all);
}

}  // namespace

OptionNode ReadOption(const CLI::Option& option) {
  OptionNode node;
  if (!option.get_lnames().empty()) {
    node.name = "--" + option.get_lnames().front();
  }
  node.help = option.get_description();
  if (option.get_items_expected_max() == 0) return node;
  node.value = KindOf(option.get_type_name());
  if (node.value == ValueKind::kChoice) {
    node.choices = CLI::detail::split(option.get_type_name(), '|');
  }
  return node;
}

CommandNode ReadCommandTree(const CLI::App& app) { return ReadNode(app, {}); }

std::vector<const CommandNode*> AllCommands(const CommandNode& root) {
  std::vector<const CommandNode*> all;
  Collect(root, all);
  return all;
}

}  // namespace countersign::agent
