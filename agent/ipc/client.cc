#include "agent/ipc/client.h"

#include <algorithm>

namespace countersign::agent {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::chrono::milliseconds Left(SteadyClock::time_point deadline) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::duration_cast<std::chrono::milliseconds>(
                      deadline - SteadyClock::now()));
}

}  // namespace

Client::Client(platform::LocalConnection connection)
    : connection_(std::move(connection)), decoder_(kMaxClientFrame) {}

Result<Client> Client::Connect(const std::string& path, Timeout timeout) {
  const auto deadline = SteadyClock::now() + timeout;
  CS_ASSIGN_OR_RETURN(auto connection,
                      platform::LocalConnection::Connect(path, timeout));
  Client client(std::move(connection));
  CS_ASSIGN_OR_RETURN(const v1::Response first, client.Receive(Left(deadline)));
  if (first.has_error()) return tl::unexpected(FromErrorInfo(first.error()));
  if (!first.has_hello()) {
    return Fail(ErrorCode::kFrameMalformed, path + " did not say hello");
  }
  client.nonce_ = first.hello().nonce();
  client.version_ = first.hello().version();
  return client;
}

Result<v1::Response> Client::Call(v1::Request request, Timeout timeout,
                                  platform::Handle process) {
  const auto deadline = SteadyClock::now() + timeout;
  CS_ASSIGN_OR_RETURN(const uint64_t id,
                      Send(std::move(request), timeout, process));
  while (true) {
    CS_ASSIGN_OR_RETURN(v1::Response response, Receive(Left(deadline)));
    // A refusal of a frame that the daemon could not read has no id.
    const bool ours = response.request_id() == id && !response.has_event();
    const bool refusal = response.request_id() == 0 && response.has_error();
    if (!ours && !refusal) continue;
    if (response.has_error()) {
      return tl::unexpected(FromErrorInfo(response.error()));
    }
    return response;
  }
}

Result<uint64_t> Client::Send(v1::Request request, Timeout timeout,
                              platform::Handle process) {
  const uint64_t id = next_id_++;
  request.set_request_id(id);
  request.set_nonce(nonce_);
  CS_ASSIGN_OR_RETURN(const Bytes payload,
                      EncodeRequest(request, Encoding::kProtobuf));
  Bytes frame;
  AppendFrame(payload, frame);
  ByteSpan rest = frame;
  if (process != platform::kNoHandle) {
    CS_ASSIGN_OR_RETURN(const size_t written,
                        connection_.WriteWithProcess(rest, process));
    if (written == 0) {
      return Fail(ErrorCode::kBusy, "the daemon does not read");
    }
    rest = rest.subspan(written);
  }
  if (!rest.empty()) {
    CS_RETURN_IF_ERROR(connection_.WriteAll(rest, timeout));
  }
  return id;
}

Result<v1::Response> Client::Receive(Timeout timeout) {
  const auto deadline = SteadyClock::now() + timeout;
  while (true) {
    CS_ASSIGN_OR_RETURN(const auto payload, decoder_.Next());
    if (payload.has_value()) return DecodeResponse(*payload);
    CS_RETURN_IF_ERROR(connection_.WaitReadable(Left(deadline)));
    CS_ASSIGN_OR_RETURN(const auto received, connection_.Read(64 * 1024));
    if (!received.has_value()) continue;
    if (received->bytes.empty()) {
      return Fail(ErrorCode::kDaemonNotRunning,
                  "the daemon closed the connection");
    }
    decoder_.Feed(received->bytes);
  }
}

}  // namespace countersign::agent
