// What every command is given: the flags that all take, the output, and the
// way to the daemon.
#ifndef COUNTERSIGN_AGENT_CLI_CONTEXT_H_
#define COUNTERSIGN_AGENT_CLI_CONTEXT_H_

#include <chrono>
#include <string>
#include <vector>

#include "agent/cli/output.h"
#include "agent/ipc/client.h"
#include "agent/ipc/config.h"

namespace countersign::agent {

// Longest waits for an answer, by what the daemon has to do for it.
inline constexpr std::chrono::seconds kQuickTimeout{10};   // No TPM.
inline constexpr std::chrono::seconds kActionTimeout{90};  // TPM and service.
inline constexpr std::chrono::minutes kEnrollTimeout{5};   // RSA keys are slow.

inline constexpr char kSocketVariable[] = "COUNTERSIGN_SOCKET";
inline constexpr char kSessionVariable[] = "COUNTERSIGN_SESSION";

struct Context {
  std::string config_path = kDefaultConfigPath;
  bool config_given = false;
  std::string socket;     // --socket, else COUNTERSIGN_SOCKET.
  std::string state_dir;  // Taken like every program does; unused here.
  std::vector<std::string> command;  // Everything after "--", for `run`.
  Output output;
  int exit_code = 0;  // Of the command that ran.

  // The socket from the flag, the environment or the configuration.
  [[nodiscard]] Result<std::string> SocketPath() const;
  [[nodiscard]] Result<Client> Connect() const;
  // Connects, asks, and gives the answer.
  [[nodiscard]] Result<v1::Response> Ask(v1::Request request,
                                         Client::Timeout timeout) const;
};

// A session id as people write it (32 hex digits). kBadRequest.
[[nodiscard]] Result<std::string> SessionIdFrom(const std::string& text);

// The bytes of the file at `path`, or of stdin for "-". kNotFound, kIoError,
// kTooLarge.
[[nodiscard]] Result<Bytes> ReadInput(const std::string& path,
                                      size_t max_bytes);
// Writes to the file at `path` (0600, whole or not at all), or to stdout for
// "-". kNotAFile, kDiskFull, kIoError.
[[nodiscard]] Status WriteOutput(const std::string& path,
                                 std::string_view bytes);
// Whether that could work now. Same errors.
[[nodiscard]] Status CheckOutput(const std::string& path);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_CONTEXT_H_
