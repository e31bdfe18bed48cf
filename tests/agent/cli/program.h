// Runs a program of the build as a person would, and keeps what it says.
#ifndef COUNTERSIGN_TESTS_AGENT_CLI_PROGRAM_H_
#define COUNTERSIGN_TESTS_AGENT_CLI_PROGRAM_H_

#include <string>
#include <utility>
#include <vector>

namespace countersign::agent {

struct Ran {
  int exit_code = -1;  // 128 + the signal's number where one ended it.
  std::string out;
  std::string err;
};

// `argv[0]` is looked up in PATH. Standard input is `input`, and no stream is
// a terminal.
Ran RunProgram(
    const std::vector<std::string>& argv,
    const std::vector<std::pair<std::string, std::string>>& environment = {},
    const std::string& input = "");

// The same for countersign itself.
Ran RunCli(
    std::vector<std::string> arguments,
    const std::vector<std::pair<std::string, std::string>>& environment = {},
    const std::string& input = "");

// Where the build has put its programs.
std::string BinFolder();

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_CLI_PROGRAM_H_
