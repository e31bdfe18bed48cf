// A daemon that answers as a script says, over the real socket and frames: for
// what the command line makes of answers. Whether the answers themselves are
// right is for the daemon's own tests and for tests/e2e.
#ifndef COUNTERSIGN_TESTS_AGENT_CLI_SCRIPTED_DAEMON_H_
#define COUNTERSIGN_TESTS_AGENT_CLI_SCRIPTED_DAEMON_H_

#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "agent/ipc/messages.h"
#include "agent/ipc/server.h"

namespace countersign::agent {

class ScriptedDaemon final : public ServerHandler {
 public:
  // What was asked, and how many process handles came along.
  struct Asked {
    v1::Request request;
    size_t processes = 0;
  };
  using Script = std::function<Result<v1::Response>(const v1::Request&)>;

  ScriptedDaemon(const std::string& path, Script script);
  ~ScriptedDaemon() override;

  [[nodiscard]] std::vector<Asked> asked();

 private:
  Result<Bytes> OnConnect(ConnectionId id,
                          const platform::LocalConnection& connection) override;
  Bytes Refusal(const Error& error) override;
  void OnFrame(ConnectionId id, Frame frame) override;
  void OnClose(ConnectionId) override {}

  Script script_;
  std::mutex mutex_;
  std::vector<Asked> asked_;  // Guarded by mutex_.
  std::unique_ptr<platform::EventLoop> loop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_CLI_SCRIPTED_DAEMON_H_
