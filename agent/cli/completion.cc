#include "agent/cli/completion.h"

namespace countersign::agent {
namespace {

// " session open": how the scripts name a command while they walk the line.
std::string PathText(const CommandNode& command) {
  std::string text;
  for (const std::string& word : command.path) text += " " + word;
  return text;
}

// Patterns of a shell `case` for every command but the program itself.
std::string CommandPatterns(const std::vector<const CommandNode*>& all) {
  std::string patterns;
  for (const CommandNode* command : all) {
    if (command->path.empty()) continue;
    if (!patterns.empty()) patterns += " | ";
    patterns += "'" + PathText(*command) + "'";
  }
  return patterns;
}

// What a positional may be, where that is a choice.
std::vector<std::string> Choices(const CommandNode& command) {
  std::vector<std::string> choices;
  for (const OptionNode& positional : command.positionals) {
    choices.insert(choices.end(), positional.choices.begin(),
                   positional.choices.end());
  }
  return choices;
}

// What may come next, as words: commands, then options.
std::string NextWords(const CommandNode& command, const CommandNode& root) {
  std::string words;
  const auto add = [&](const std::string& word) {
    if (!words.empty()) words += " ";
    words += word;
  };
  for (const CommandNode& below : command.commands) add(below.path.back());
  for (const std::string& choice : Choices(command)) add(choice);
  for (const OptionNode& option : command.options) add(option.name);
  if (command.path.empty()) return words;
  for (const OptionNode& option : root.options) {
    if (option.name != "--help" && option.name != "--version") add(option.name);
  }
  return words;
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

// Calls `emit(pattern, option)` for every option that takes a value; the
// program's own take theirs behind every command.
template <typename Emit>
void ForEachValue(const std::vector<const CommandNode*>& all, Emit emit) {
  for (const CommandNode* command : all) {
    for (const OptionNode& option : command->options) {
      if (option.value == ValueKind::kNone) continue;
      const std::string name = " " + option.name + "'";
      emit(
          command->path.empty() ? "*'" + name : "'" + PathText(*command) + name,
          option);
    }
  }
}

bool TakesFile(const CommandNode& command) {
  for (const OptionNode& positional : command.positionals) {
    if (positional.value == ValueKind::kFile) return true;
  }
  return false;
}

// Inside single quotes of a POSIX shell.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string ZshDescribed(const std::string& name, const std::string& help) {
  return Quoted(name + ":" + help);
}

std::string FishQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string FishOption(const OptionNode& option) {
  std::string text = " -l " + option.name.substr(2);
  switch (option.value) {
    case ValueKind::kNone:
      break;
    case ValueKind::kText:
      text += " -x";
      break;
    case ValueKind::kFile:
      text += " -r -F";
      break;
    case ValueKind::kFolder:
      text += " -x -a '(__fish_complete_directories)'";
      break;
    case ValueKind::kChoice:
      text += " -x -a " + FishQuoted(Join(option.choices));
      break;
  }
  return text + " -d " + FishQuoted(option.help) + "\n";
}

}  // namespace

std::string BashCompletion(const CommandNode& root) {
  const auto all = AllCommands(root);
  std::string text =
      "# bash completion of countersign; made by: countersign completion "
      "bash\n"
      "_countersign() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local path= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
      "      if declare -F _command_offset >/dev/null; then\n"
      "        _command_offset $((i + 1))\n"
      "      else\n"
      "        COMPREPLY=($(compgen -c -- \"$cur\"))\n"
      "      fi\n"
      "      return\n"
      "    fi\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n"
      "      " +
      CommandPatterns(all) +
      ") path+=\" ${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$path $prev\" in\n";
  ForEachValue(all, [&](const std::string& pattern, const OptionNode& option) {
    text += "    " + pattern + ") ";
    switch (option.value) {
      case ValueKind::kFile:
        text += "COMPREPLY=($(compgen -f -- \"$cur\")); ";
        break;
      case ValueKind::kFolder:
        text += "COMPREPLY=($(compgen -d -- \"$cur\")); ";
        break;
      case ValueKind::kChoice:
        text += "COMPREPLY=($(compgen -W '" + Join(option.choices) +
                "' -- \"$cur\")); ";
        break;
      default:
        break;
    }
    text += "return ;;\n";
  });
  text += "  esac\n  case \"$path\" in\n";
  for (const CommandNode* command : all) {
    text += "    '" + PathText(*command) + "') COMPREPLY=($(compgen -W '" +
            NextWords(*command, root) + "' -- \"$cur\")";
    if (TakesFile(*command)) text += " $(compgen -f -- \"$cur\")";
    text += ") ;;\n";
  }
  return text +
         "  esac\n}\n"
         "complete -o filenames -F _countersign countersign\n";
}

std::string ZshCompletion(const CommandNode& root) {
  const auto all = AllCommands(root);
  std::string text =
      "#compdef countersign\n"
      "# zsh completion of countersign; made by: countersign completion zsh\n"
      "_countersign() {\n"
      "  local path_= i\n"
      "  local -a next\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    if [[ ${words[i]} == -- ]]; then\n"
      "      shift $i words\n"
      "      (( CURRENT -= i ))\n"
      "      _normal\n"
      "      return\n"
      "    fi\n"
      "    case \"$path_ ${words[i]}\" in\n"
      "      (" +
      CommandPatterns(all) +
      ") path_+=\" ${words[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$path_ ${words[CURRENT-1]}\" in\n";
  ForEachValue(all, [&](const std::string& pattern, const OptionNode& option) {
    text += "    (" + pattern + ") ";
    switch (option.value) {
      case ValueKind::kFile:
        text += "_files; ";
        break;
      case ValueKind::kFolder:
        text += "_files -/; ";
        break;
      case ValueKind::kChoice:
        text += "compadd -- " + Join(option.choices) + "; ";
        break;
      default:
        text += "_message " + Quoted(option.help) + "; ";
        break;
    }
    text += "return ;;\n";
  });
  text += "  esac\n  case \"$path_\" in\n";
  for (const CommandNode* command : all) {
    text += "    ('" + PathText(*command) + "') next=(";
    for (const CommandNode& below : command->commands) {
      text += " " + ZshDescribed(below.path.back(), below.help);
    }
    for (const std::string& choice : Choices(*command)) {
      text += " " + Quoted(choice);
    }
    for (const OptionNode& option : command->options) {
      text += " " + ZshDescribed(option.name, option.help);
    }
    text += " )";
    if (TakesFile(*command)) text += "; _files";
    text += " ;;\n";
  }
  return text +
         "  esac\n"
         "  _describe countersign next\n"
         "}\n"
         "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
         "  _countersign \"$@\"\n"
         "else\n"
         "  compdef _countersign countersign\n"
         "fi\n";
}

std::string FishCompletion(const CommandNode& root) {
  const auto all = AllCommands(root);
  std::string text =
      "# fish completion of countersign; made by: countersign completion "
      "fish\n"
      "function __countersign_path\n"
      "  set -l path countersign\n"
      "  for word in (commandline -opc)[2..]\n"
      "    if test \"$word\" = --\n"
      "      echo 'countersign --'\n"
      "      return\n"
      "    end\n"
      "    switch \"$path $word\"\n"
      "      case";
  for (const CommandNode* command : all) {
    if (command->path.empty()) continue;
    text += " 'countersign" + PathText(*command) + "'";
  }
  text +=
      "\n        set path \"$path $word\"\n"
      "    end\n"
      "  end\n"
      "  echo $path\n"
      "end\n"
      "function __countersign_at\n"
      "  test (__countersign_path) = \"countersign$argv[1]\"\n"
      "end\n"
      "complete -c countersign -f\n"
      "complete -c countersign -n \"__countersign_at ' --'\" -F -a "
      "'(__fish_complete_command)'\n";
  for (const CommandNode* command : all) {
    const std::string at = "complete -c countersign -n \"__countersign_at '" +
                           PathText(*command) + "'\"";
    for (const CommandNode& below : command->commands) {
      text += at + " -a " + below.path.back() + " -d " +
              FishQuoted(below.help) + "\n";
    }
    for (const std::string& choice : Choices(*command)) {
      text += at + " -a " + choice + "\n";
    }
    if (TakesFile(*command)) text += at + " -F\n";
    for (const OptionNode& option : command->options) {
      text += at + FishOption(option);
    }
  }
  return text;
}

}  // namespace countersign::agent
