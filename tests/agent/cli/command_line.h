// A scripted daemon and the real program that talks to it.
#ifndef COUNTERSIGN_TESTS_AGENT_CLI_COMMAND_LINE_H_
#define COUNTERSIGN_TESTS_AGENT_CLI_COMMAND_LINE_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tests/agent/cli/program.h"
#include "tests/agent/cli/scripted_daemon.h"

namespace countersign::agent {

inline const std::string kSession = "000102030405060708090a0b0c0d0e0f";

inline std::string SessionBytes() { return AsString(*FromHex(kSession)); }

inline std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    std::string pattern = "/tmp/countersign-cli-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    socket_ = folder_ + "/agent.sock";
  }
  ~CommandLineTest() override {
    daemon_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Answer(ScriptedDaemon::Script script) {
    daemon_ = std::make_unique<ScriptedDaemon>(socket_, std::move(script));
  }
  void AnswerError(ErrorCode code, const std::string& detail = "") {
    Answer([=](const v1::Request&) -> Result<v1::Response> {
      return Fail(code, detail);
    });
  }
  Ran Cli(std::vector<std::string> arguments, const std::string& input = "") {
    return RunCli(std::move(arguments), {{"COUNTERSIGN_SOCKET", socket_}},
                  input);
  }

  std::string folder_;
  std::string socket_;
  std::unique_ptr<ScriptedDaemon> daemon_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_CLI_COMMAND_LINE_H_
