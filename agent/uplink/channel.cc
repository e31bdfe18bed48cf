#include "agent/uplink/channel.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "agent/ipc/messages.h"
#include "attest/base/text.h"
#include "platform/folder_owner.h"
#include "platform/host.h"

namespace countersign::agent {
namespace {

constexpr size_t kReadSize = 256 * 1024;
// More than all lanes can owe at once: then the daemon has stopped reading.
constexpr size_t kMaxUnsent = 4 * kMaxUplinkFrame;

constexpr std::string_view kEventsLane = "events";
constexpr std::array<std::string_view, 3> kLanes = {"control", "actions",
                                                    kEventsLane};

// Agents that lost the same service must not come back in step.
std::chrono::milliseconds Jittered(std::chrono::milliseconds delay) {
  std::minstd_rand random(std::random_device{}());
  return delay / 2 + delay * (random() % 512) / 1024;
}

// A frame that names no lane: the daemon says why it does not want us.
Status RefusalIn(ByteSpan payload) {
  v1::UplinkResponse refusal;
  if (!refusal.ParseFromArray(payload.data(),
                              static_cast<int>(payload.size())) ||
      !refusal.has_error()) {
    return Fail(ErrorCode::kFrameMalformed, "a request without a lane");
  }
  return tl::unexpected(FromErrorInfo(refusal.error()));
}

}  // namespace

struct Channel::Link {
  explicit Link(platform::LocalConnection connected)
      : connection(std::move(connected)), decoder(kMaxUplinkFrame) {}

  const std::chrono::steady_clock::time_point since =
      std::chrono::steady_clock::now();
  platform::LocalConnection connection;
  FrameDecoder decoder;
  Bytes unsent;
  std::map<std::string_view, std::unique_ptr<Lane>> lanes;
};

Status CheckListener(const std::string& socket_path,
                     const platform::LocalConnection& connection) {
  CS_ASSIGN_OR_RETURN(const platform::PeerCredentials listener,
                      connection.peer());
  CS_ASSIGN_OR_RETURN(const uint32_t owner,
                      platform::OwnerOfFolderOf(socket_path));
  if (listener.uid == 0 || listener.uid == platform::OwnUid() ||
      listener.uid == owner) {
    return {};
  }
  return Fail(ErrorCode::kUnsafePath,
              "uid " + std::to_string(listener.uid) + " listens at " +
                  socket_path + ", which is not the daemon's account");
}

Channel::Channel(platform::EventLoop& loop, ChannelOptions options,
                 Report report)
    : loop_(loop),
      options_(std::move(options)),
      report_(std::move(report)),
      retry_(options_.first_retry) {}

Channel::~Channel() {
  if (timer_ != 0) loop_.Cancel(timer_);
  if (link_) loop_.Remove(link_->connection.handle());
}

void Channel::Connect() {
  timer_ = 0;
  const Status status = TryConnect();
  if (status.has_value()) {
    Note("daemon", "connected", "");
    return;
  }
  Drop(status.error());
}

Status Channel::TryConnect() {
  CS_ASSIGN_OR_RETURN(auto connection,
                      platform::LocalConnection::Connect(
                          options_.socket, std::chrono::milliseconds(100)));
  CS_RETURN_IF_ERROR(CheckListener(options_.socket, connection));
  auto link = std::make_unique<Link>(std::move(connection));
  const uint64_t number = ++links_;
  for (const std::string_view name : kLanes) {
    CS_ASSIGN_OR_RETURN(auto client, NewClient(name));
    link->lanes[name] = std::make_unique<Lane>(
        std::move(client), options_.lane_capacity,
        [this, number, name](v1::UplinkResponse response) {
          // Shared, since what is posted gets copied.
          const auto shared =
              std::make_shared<v1::UplinkResponse>(std::move(response));
          loop_.Post([this, number, name, shared] {
            OnReply(number, std::string(name), *shared);
          });
        });
  }
  CS_RETURN_IF_ERROR(loop_.Add(
      link->connection.handle(), [this] { OnReadable(); },
      [this] { Flush(); }));
  link_ = std::move(link);
  return {};
}

Result<std::unique_ptr<AuthzClient>> Channel::NewClient(
    std::string_view lane) const {
  TransportLimits limits = options_.limits;
  // What the service holds back sends nothing meanwhile.
  if (lane == kEventsLane) limits.slow_for = std::chrono::seconds(0);
  return AuthzClient::Create(options_.transport, limits);
}

Status Channel::Renew(TransportSettings transport) {
  options_.transport = std::move(transport);
  if (!link_) return {};  // The next connection takes them.
  for (const auto& [name, lane] : link_->lanes) {
    CS_ASSIGN_OR_RETURN(auto client, NewClient(name));
    lane->Renew(std::move(client));
  }
  return {};
}

void Channel::Drop(const Error& why) {
  if (link_) {
    // A daemon that takes the connection and ends it at once is as good as
    // away: only one that stayed is looked for in haste.
    const auto lasted = std::chrono::steady_clock::now() - link_->since;
    if (lasted > options_.last_retry) retry_ = options_.first_retry;
    loop_.Remove(link_->connection.handle());
    link_.reset();
  }
  Note("daemon", std::string(Name(why.code)), why.detail);
  timer_ = loop_.RunAfter(Jittered(retry_), [this] { Connect(); });
  retry_ = std::min(retry_ * 2, options_.last_retry);
}

void Channel::OnReadable() {
  auto received = link_->connection.Read(kReadSize);
  if (!received.has_value()) return Drop(received.error());
  if (!received->has_value()) return;
  if ((*received)->bytes.empty()) {
    return Drop({ErrorCode::kPeerGone, "the daemon closed the connection"});
  }
  link_->decoder.Feed((*received)->bytes);
  while (link_) {
    const auto payload = link_->decoder.Next();
    if (!payload.has_value()) return Drop(payload.error());
    if (!payload->has_value()) return;
    const Status accepted = Accept(**payload);
    if (!accepted.has_value()) return Drop(accepted.error());
  }
}

Status Channel::Accept(ByteSpan payload) {
  v1::UplinkRequest request;
  if (!request.ParseFromArray(payload.data(),
                              static_cast<int>(payload.size()))) {
    return Fail(ErrorCode::kFrameMalformed, "not an UplinkRequest");
  }
  if (request.lane().empty()) return RefusalIn(payload);
  const uint64_t id = request.id();
  Error refusal;
  const auto lane = link_->lanes.find(request.lane());
  if (lane != link_->lanes.end()) {
    if (lane->second->Offer(std::move(request))) return {};
    refusal = {ErrorCode::kBusy, "the uplink's lane is full"};
  } else {
    refusal = {ErrorCode::kBadRequest,
               "no lane '" + Printable(request.lane(), 40) + "'"};
  }
  v1::UplinkResponse response;
  response.set_id(id);
  *response.mutable_error() = ToErrorInfo(refusal);
  Send(response);
  return {};
}

void Channel::OnReply(uint64_t link, const std::string& lane,
                      const v1::UplinkResponse& response) {
  if (!link_ || link != links_) return;  // Meant for a daemon that is gone.
  Note("lane " + lane,
       response.has_error() ? response.error().reason() : "working",
       response.error().detail());
  Send(response);
}

void Channel::Send(const v1::UplinkResponse& response) {
  Bytes payload(response.ByteSizeLong());
  response.SerializeToArray(payload.data(), static_cast<int>(payload.size()));
  AppendFrame(payload, link_->unsent);
  Flush();
}

void Channel::Flush() {
  Bytes& unsent = link_->unsent;
  const auto written = link_->connection.Write(unsent);
  if (!written.has_value() || unsent.size() - *written > kMaxUnsent) {
    // Not from here: a caller further up still uses the link.
    loop_.Post([this, number = links_] {
      if (link_ && number == links_) {
        Drop({ErrorCode::kPeerGone, "the daemon does not read"});
      }
    });
    unsent.clear();
    return loop_.WatchWritable(link_->connection.handle(), false);
  }
  unsent.erase(unsent.begin(),
               unsent.begin() + static_cast<ptrdiff_t>(*written));
  if (unsent.empty()) Bytes().swap(unsent);
  loop_.WatchWritable(link_->connection.handle(), !unsent.empty());
}

void Channel::Note(const std::string& subject, const std::string& state,
                   const std::string& detail) {
  std::string& noted = noted_[subject];
  if (noted == state) return;
  noted = state;
  report_(subject + ": " + state + (detail.empty() ? "" : ": " + detail));
}

}  // namespace countersign::agent
