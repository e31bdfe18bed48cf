// countersignd as a program of its own, on a software TPM, with a TestService
// behind its uplink socket.
#ifndef COUNTERSIGN_TESTS_AGENT_DAEMON_PROGRAM_RIG_H_
#define COUNTERSIGN_TESTS_AGENT_DAEMON_PROGRAM_RIG_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/ipc/client.h"
#include "tests/agent/daemon/test_service.h"
#include "tests/agent/daemon/test_uplink.h"
#include "tests/fakes/swtpm_rig.h"

namespace countersign::agent {

// What a command printed and how it ended.
struct Ran {
  int exit_code = -1;
  std::string output;  // Standard output and error.
};

class ProgramRig {
 public:
  // `tpm_options` as for SwtpmRig::tcti_with; empty: none.
  explicit ProgramRig(const std::string& tpm_options = {});
  ~ProgramRig();

  // Starts countersignd and waits until it listens.
  void Start();
  void Kill(int signal);  // And waits for the end; its exit code if any.
  [[nodiscard]] int exit_code() const { return exit_code_; }
  [[nodiscard]] int pid() const { return pid_; }

  // `countersign ARGUMENTS` on this daemon, through a shell.
  [[nodiscard]] Ran Cli(const std::string& arguments) const;
  [[nodiscard]] static Ran Shell(const std::string& command);
  [[nodiscard]] static std::string Program(const std::string& name);

  [[nodiscard]] std::optional<Client> Connect() const;
  Result<v1::EnrollResponse> Enroll();
  Result<std::string> OpenSession(Client& client) const;

  [[nodiscard]] std::string config_path() const {
    return folder + "/agent.json";
  }
  [[nodiscard]] std::string log() const;

  std::string folder;
  std::string socket;
  fakes::SwtpmRig tpm;
  TestService service;
  std::unique_ptr<TestUplink> uplink;

 private:
  int pid_ = 0;
  int exit_code_ = -1;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_DAEMON_PROGRAM_RIG_H_
