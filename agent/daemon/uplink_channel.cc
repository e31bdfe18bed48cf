#include "agent/daemon/uplink_channel.h"

#include <utility>

#include "agent/ipc/messages.h"

namespace countersign::agent {
namespace {

// The uplink keeps the request's own deadline and says which kind of silence
// it was; ours only catches an uplink that hangs.
constexpr uint32_t kGraceMs = 2'000;

ServerLimits UplinkLimits() {
  ServerLimits limits;
  limits.connections = 8;  // The uplink, and others just long enough to refuse.
  limits.connections_per_uid = 8;
  limits.outstanding_per_peer = SIZE_MAX;
  limits.frame = kMaxUplinkFrame;
  limits.write_buffer = 4 * kMaxUplinkFrame;
  limits.stall_timeout = std::chrono::seconds(60);
  return limits;
}

}  // namespace

UplinkChannel::UplinkChannel(platform::EventLoop& loop, uint32_t uplink_uid,
                             std::function<void(bool)> on_change)
    : loop_(loop),
      uplink_uid_(uplink_uid),
      on_change_(std::move(on_change)),
      server_(loop, *this, UplinkLimits()) {}

UplinkChannel::~UplinkChannel() {
  for (const auto& [id, waiting] : waiting_) loop_.Cancel(waiting.timer);
}

Status UplinkChannel::Listen(platform::LocalListener listener) {
  return server_.Listen(std::move(listener));
}

void UplinkChannel::Call(v1::UplinkRequest request, Done done) {
  if (!uplink_.has_value()) {
    loop_.Post([done = std::move(done)] {
      done(Fail(ErrorCode::kUplinkDown, "countersign-uplink is not connected"));
    });
    return;
  }
  const uint64_t id = next_id_++;
  request.set_id(id);
  const auto deadline =
      std::chrono::milliseconds(uint64_t{request.timeout_ms()} + kGraceMs);
  Waiting waiting{std::move(done), loop_.RunAfter(deadline, [this, id] {
                    Finish(id, Fail(ErrorCode::kTimeout,
                                    "countersign-uplink does not answer"));
                  })};
  waiting_.emplace(id, std::move(waiting));
  server_.Push(*uplink_, AsBytes(request.SerializeAsString()));
}

Result<Bytes> UplinkChannel::OnConnect(
    ConnectionId id, const platform::LocalConnection& socket) {
  CS_ASSIGN_OR_RETURN(const auto peer, socket.peer());
  if (peer.uid != uplink_uid_) {
    return Fail(ErrorCode::kUnauthorized,
                "only uid " + std::to_string(uplink_uid_) +
                    " may be the uplink, not uid " + std::to_string(peer.uid));
  }
  if (uplink_.has_value()) {
    return Fail(ErrorCode::kAlreadyRunning, "an uplink is connected");
  }
  uplink_ = id;
  loop_.Post([this] { on_change_(uplink_.has_value()); });
  return Bytes();  // The uplink waits for requests, not for a greeting.
}

Bytes UplinkChannel::Refusal(const Error& error) {
  // Id 0 answers no request: the uplink logs it.
  v1::UplinkResponse refusal;
  *refusal.mutable_error() = ToErrorInfo(error);
  return ToBytes(AsBytes(refusal.SerializeAsString()));
}

void UplinkChannel::OnFrame(ConnectionId id, Frame frame) {
  if (id != uplink_ || frame.writer.uid != uplink_uid_) return;
  v1::UplinkResponse response;
  if (!response.ParseFromArray(frame.payload.data(),
                               static_cast<int>(frame.payload.size()))) {
    server_.Close(id);
    return;
  }
  Bytes().swap(frame.payload);  // An answer may be 8 MiB: not twice for long.
  const uint64_t request = response.id();
  Finish(request, std::move(response));
}

void UplinkChannel::OnClose(ConnectionId id) {
  if (id != uplink_) return;
  uplink_.reset();
  for (auto& [request, waiting] : std::exchange(waiting_, {})) {
    loop_.Cancel(waiting.timer);
    waiting.done(Fail(ErrorCode::kUplinkDown,
                      "countersign-uplink went away before it answered"));
  }
  on_change_(false);
}

void UplinkChannel::Finish(uint64_t id, Result<v1::UplinkResponse> result) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;  // Late: its deadline has passed.
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  loop_.Cancel(waiting.timer);
  waiting.done(std::move(result));
}

}  // namespace countersign::agent
