// A blocking client of countersignd, for programs that have nothing else to
// do while they wait: the command line and the MCP proxy.
//
// Believes the daemon no more than the socket's path allows; whoever relies on
// an answer verifies the evidence in it. Not thread-safe.
#ifndef COUNTERSIGN_AGENT_IPC_CLIENT_H_
#define COUNTERSIGN_AGENT_IPC_CLIENT_H_

#include <chrono>
#include <string>

#include "agent/ipc/frame.h"
#include "agent/ipc/messages.h"
#include "platform/handle.h"
#include "platform/local_socket.h"

namespace countersign::agent {

class Client {
 public:
  using Timeout = std::chrono::milliseconds;

  // Connects and reads the daemon's Hello.
  //   kDaemonNotRunning  nobody listens at `path`
  //   kUnsafePath        `path` is not a socket
  //   kTimeout           no Hello in time
  //   kFrameMalformed    the first frame is not a Hello
  // A daemon that refuses the caller says so in place of a Hello: its error.
  [[nodiscard]] static Result<Client> Connect(const std::string& path,
                                              Timeout timeout);

  // Sends `request` (request_id and nonce are filled in) and waits for its
  // answer; events of a Watch that arrive meanwhile are dropped. An answer
  // that holds an ErrorInfo is returned as that error.
  // `process`, if any, is a handle to a process (its pidfd) that rides along.
  //   kTimeout           no answer in time; the connection is of no more use
  //   kDaemonNotRunning  the daemon went away
  [[nodiscard]] Result<v1::Response> Call(
      v1::Request request, Timeout timeout,
      platform::Handle process = platform::kNoHandle);

  // For callers that keep several requests under way, or watch: Send returns
  // the request's id; Receive gives whatever arrives next, errors included.
  [[nodiscard]] Result<uint64_t> Send(
      v1::Request request, Timeout timeout,
      platform::Handle process = platform::kNoHandle);
  [[nodiscard]] Result<v1::Response> Receive(Timeout timeout);

  // Readable when something more has arrived. Borrowed.
  [[nodiscard]] platform::Handle handle() const { return connection_.handle(); }
  [[nodiscard]] const std::string& daemon_version() const { return version_; }

 private:
  explicit Client(platform::LocalConnection connection);

  platform::LocalConnection connection_;
  FrameDecoder decoder_;
  std::string nonce_;
  std::string version_;
  uint64_t next_id_ = 1;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_IPC_CLIENT_H_
