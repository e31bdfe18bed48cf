#include "tests/agent/cli/scripted_daemon.h"

namespace countersign::agent {
namespace {

constexpr char kNonce[] = "0123456789abcdef";

}  // namespace

ScriptedDaemon::ScriptedDaemon(const std::string& path, Script script)
    : script_(std::move(script)),
      loop_(platform::EventLoop::Create().value()),
      server_(std::make_unique<Server>(*loop_, *this, ServerLimits{})) {
  (void)server_->Listen(platform::LocalListener::Listen(path, 0666).value());
  thread_ = std::thread([this] { loop_->Run(); });
}

ScriptedDaemon::~ScriptedDaemon() {
  loop_->Stop();
  thread_.join();
}

std::vector<ScriptedDaemon::Asked> ScriptedDaemon::asked() {
  const std::lock_guard lock(mutex_);
  return asked_;
}

Result<Bytes> ScriptedDaemon::OnConnect(ConnectionId,
                                        const platform::LocalConnection&) {
  v1::Response hello;
  hello.mutable_hello()->set_nonce(kNonce);
  hello.mutable_hello()->set_version("0.1.0-test");
  return EncodeResponse(hello, Encoding::kProtobuf);
}

Bytes ScriptedDaemon::Refusal(const Error& error) {
  v1::Response response;
  *response.mutable_error() = ToErrorInfo(error);
  return EncodeResponse(response, Encoding::kProtobuf).value();
}

void ScriptedDaemon::OnFrame(ConnectionId id, Frame frame) {
  const auto decoded = DecodeRequest(frame.payload);
  if (!decoded.has_value() || decoded->request.nonce() != kNonce) {
    return server_->Close(id);
  }
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back({decoded->request, frame.processes.size()});
  }
  auto answer = script_(decoded->request);
  v1::Response response;
  if (answer.has_value()) {
    response = *std::move(answer);
  } else {
    *response.mutable_error() = ToErrorInfo(answer.error());
  }
  response.set_request_id(decoded->request.request_id());
  server_->Reply(id, EncodeResponse(response, decoded->encoding).value());
}

}  // namespace countersign::agent
