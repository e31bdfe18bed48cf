#include "tests/agent/cli/program.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace countersign::agent {
namespace {

// Unlinked at once; keeps any amount without a reader.
int NewStream(const std::string& contents) {
  std::string name = "/tmp/countersign-stream-XXXXXX";
  const int file = mkostemp(name.data(), O_CLOEXEC);
  unlink(name.c_str());
  (void)!write(file, contents.data(), contents.size());
  lseek(file, 0, SEEK_SET);
  return file;
}

std::string ReadBack(int file) {
  std::string text;
  std::array<char, 4096> chunk{};
  lseek(file, 0, SEEK_SET);
  for (ssize_t got; (got = read(file, chunk.data(), chunk.size())) > 0;) {
    text.append(chunk.data(), static_cast<size_t>(got));
  }
  close(file);
  return text;
}

}  // namespace

Ran RunProgram(
    const std::vector<std::string>& argv,
    const std::vector<std::pair<std::string, std::string>>& environment,
    const std::string& input) {
  const int in = NewStream(input);
  const int out = NewStream("");
  const int err = NewStream("");
  const pid_t child = fork();
  if (child == 0) {
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    unsetenv("COUNTERSIGN_SOCKET");
    unsetenv("COUNTERSIGN_SESSION");
    for (const auto& [name, value] : environment) {
      setenv(name.c_str(), value.c_str(), 1);
    }
    std::vector<char*> pointers;
    for (const auto& word : argv) {
      pointers.push_back(const_cast<char*>(word.c_str()));
    }
    pointers.push_back(nullptr);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  close(in);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          ReadBack(out), ReadBack(err)};
}

Ran RunCli(std::vector<std::string> arguments,
           const std::vector<std::pair<std::string, std::string>>& environment,
           const std::string& input) {
  arguments.insert(arguments.begin(), BinFolder() + "/countersign");
  return RunProgram(arguments, environment, input);
}

std::string BinFolder() { return getenv("COUNTERSIGN_BIN"); }

}  // namespace countersign::agent
