// A server that answers each request of a client in a way that tests choose.
#ifndef COUNTERSIGN_TESTS_AGENT_IPC_ECHO_SERVER_H_
#define COUNTERSIGN_TESTS_AGENT_IPC_ECHO_SERVER_H_

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "agent/ipc/messages.h"
#include "agent/ipc/server.h"
#include "tests/agent/loop_thread.h"

namespace countersign::agent {

class EchoServer final : public ServerHandler {
 public:
  using Respond = std::function<void(Server&, ConnectionId, v1::Request,
                                     const Frame& frame)>;

  explicit EchoServer(const ServerLimits& limits = {}, Respond respond = {})
      : respond_(std::move(respond)) {
    char name[] = "/tmp/countersign-ipc-XXXXXX";
    folder_ = ::mkdtemp(name);
    thread_.Sync([&] {
      server_ = std::make_unique<Server>(thread_.loop(), *this, limits);
      auto listener =
          platform::LocalListener::Listen(folder_ + "/socket", 0600);
      if (!server_->Listen(std::move(*listener)).has_value()) std::abort();
    });
  }
  ~EchoServer() override {
    thread_.Sync([&] { server_.reset(); });
    thread_.Stop();
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] std::string path() const { return folder_ + "/socket"; }
  [[nodiscard]] LoopThread& thread() { return thread_; }
  [[nodiscard]] Server& server() { return *server_; }
  [[nodiscard]] int closed() const { return closed_; }

  Result<Bytes> OnConnect(ConnectionId,
                          const platform::LocalConnection&) override {
    v1::Response greeting;
    greeting.mutable_hello()->set_nonce("sixteen bytes...");
    return EncodeResponse(greeting, Encoding::kProtobuf);
  }
  Bytes Refusal(const Error& error) override {
    v1::Response response;
    *response.mutable_error() = ToErrorInfo(error);
    return *EncodeResponse(response, Encoding::kProtobuf);
  }
  void OnFrame(ConnectionId id, Frame frame) override {
    auto decoded = DecodeRequest(frame.payload);
    if (!decoded.has_value()) {
      server_->Reply(id, Refusal(decoded.error()));
    } else if (frame.over_quota) {
      v1::Response response;
      response.set_request_id(decoded->request.request_id());
      *response.mutable_error() = ToErrorInfo({ErrorCode::kBusy, "quota"});
      server_->Reply(id, *EncodeResponse(response, decoded->encoding));
    } else if (respond_) {
      respond_(*server_, id, std::move(decoded->request), frame);
    } else {
      Echo(*server_, id, decoded->request);
    }
  }
  void OnClose(ConnectionId) override { ++closed_; }

  static void Echo(Server& server, ConnectionId id, const v1::Request& request,
                   size_t size = 1) {
    v1::Response response;
    response.set_request_id(request.request_id());
    response.mutable_status()->set_version(std::string(size, 'v'));
    server.Reply(id, *EncodeResponse(response, Encoding::kProtobuf));
  }

 private:
  Respond respond_;
  std::string folder_;
  std::atomic<int> closed_ = 0;
  LoopThread thread_;
  std::unique_ptr<Server> server_;
};

inline v1::Request StatusAsk() {
  v1::Request request;
  request.mutable_status();
  return request;
}

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_IPC_ECHO_SERVER_H_
