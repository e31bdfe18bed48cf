#include "tests/fakes/swtpm_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <utility>

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

// Runs a shell command; its exit status and standard output. Nothing of ours
// is inherited: the TPM library's sockets are not close-on-exec, and a child
// that holds one keeps the software TPM waiting.
std::pair<int, std::string> RunShell(const std::string& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) Die("pipe");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  const char* argv[] = {"sh", "-c", command.c_str(), nullptr};
  pid_t child = -1;
  const int spawned = ::posix_spawn(&child, "/bin/sh", &actions, nullptr,
                                    const_cast<char**>(argv), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (spawned != 0) Die("posix_spawn");
  std::string output;
  char buffer[4096];
  for (ssize_t size = 0;
       (size = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
    output.append(buffer, static_cast<size_t>(size));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, std::move(output)};
}

std::string Script() {
  return std::string(COUNTERSIGN_FAKES_FOLDER) + "/swtpm.sh";
}

// The folder of the one TPM that the others are copies of.
const std::string& Manufactured() {
  struct Original {
    Original() : dir(NewFolder()) {
      if (RunShell(Script() + " manufacture " + dir).first != 0) {
        Die("swtpm.sh manufacture failed");
      }
    }
    ~Original() {
      if (::getpid() == owner) fs::remove_all(dir);
    }
    std::string dir;
    pid_t owner = ::getpid();
  };
  static const Original kOriginal;
  return kOriginal.dir;
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
  // The daemon that `start` leaves behind must not hold our pipe.
  const std::string command =
      Script() + " " + subcommand + " " + dir_ + " >/dev/null";
  if (RunShell(command).first != 0) Die("failed: " + command);
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
  auto [status, text] = RunShell("( " + line + " ) 2>/dev/null");
  if (output != nullptr) *output = std::move(text);
  return status == 0;
}

}  // namespace countersign::fakes
