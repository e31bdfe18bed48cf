#include "tests/fakes/swtpm_rig.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace countersign::fakes {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "SwtpmRig: " << what << "\n";
  std::abort();
}

std::string NewFolder() {
  std::string name = (fs::temp_directory_path() / "cs-tpm-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) Die("mkdtemp");
  return name;
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Die("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Script() {
  return std::string(COUNTERSIGN_FAKES_FOLDER) + "/swtpm.sh";
}

// The folder of the one TPM that the others are copies of.
const std::string& Manufactured() {
  struct Original {
    Original() : dir(NewFolder()) {
      if (std::system((Script() + " manufacture " + dir).c_str()) != 0) {
        Die("swtpm.sh manufacture failed");
      }
    }
    ~Original() {
      if (::getpid() == owner) fs::remove_all(dir);
    }
    std::string dir;
    pid_t owner = ::getpid();
  };
  static const Original original;
  return original.dir;
}

}  // namespace

SwtpmRig::SwtpmRig() : dir_(NewFolder()) {
  fs::copy(Manufactured(), dir_,
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  Start();
  Extend();
}

SwtpmRig::~SwtpmRig() {
  Resume();
  Run("stop");
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

std::string SwtpmRig::tcti() const {
  return "swtpm:path=" + dir_ + "/tpm.sock";
}

std::string SwtpmRig::tcti_with(const std::string& options) const {
  return std::string(COUNTERSIGN_TCTI_DELAY) + ":" + options + ":" + tcti();
}

Bytes SwtpmRig::event_log() const {
  return ToBytes(AsBytes(Read(dir_ + "/eventlog.bin")));
}

std::string SwtpmRig::root_certificate() const {
  return Read(dir_ + "/ca/root.pem");
}

void SwtpmRig::Run(const std::string& subcommand) const {
  const std::string command =
      Script() + " " + subcommand + " " + dir_ + " >/dev/null";
  if (std::system(command.c_str()) != 0) Die("failed: " + command);
}

int SwtpmRig::pid() const { return std::stoi(Read(dir_ + "/pid")); }

void SwtpmRig::Start() { Run("start"); }
void SwtpmRig::Stop() { Run("stop"); }
void SwtpmRig::Extend() { Run("extend"); }

void SwtpmRig::Reboot() {
  Run("reboot");
  Extend();
}

void SwtpmRig::Kill() {
  ::kill(pid(), SIGKILL);
  Run("stop");  // Waits for the end.
}

void SwtpmRig::Pause() { ::kill(pid(), SIGSTOP); }

void SwtpmRig::Resume() {
  if (fs::exists(dir_ + "/pid")) ::kill(pid(), SIGCONT);
}

bool SwtpmRig::Shell(const std::string& command, std::string* output) const {
  const std::string line = "cd " + dir_ + " && export TSS2_LOG=all+none " +
                           "TPM2TOOLS_TCTI=" + tcti() + "; " + command;
  FILE* pipe = ::popen(("( " + line + " ) 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) Die("popen");
  std::string text;
  char buffer[4096];
  for (size_t size = 0;
       (size = ::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    text.append(buffer, size);
  }
  const int status = ::pclose(pipe);
  if (output != nullptr) *output = text;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace countersign::fakes
