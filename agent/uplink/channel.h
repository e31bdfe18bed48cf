// The uplink's end of the socket between it and countersignd.
//
// Connects to the daemon's socket, and again, ever less often, while the
// daemon is away. Hands each request to its lane and each answer back. Knows
// nothing of what they hold. When the daemon goes, so do the lanes: what was
// under way for it is given up, since it sends again what it still wants.
// Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_UPLINK_CHANNEL_H_
#define COUNTERSIGN_AGENT_UPLINK_CHANNEL_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/ipc/frame.h"
#include "agent/uplink/lane.h"
#include "platform/event_loop.h"
#include "platform/local_socket.h"

namespace countersign::agent {

struct ChannelOptions {
  std::string socket;
  TransportSettings transport;
  TransportLimits limits;
  size_t lane_capacity = 32;  // Requests that wait, a lane.
  std::chrono::milliseconds first_retry{50};
  std::chrono::milliseconds last_retry{5'000};
};

class Channel {
 public:
  // Told of what an administrator wants to know, once when it changes:
  // connected, away and why, a lane that fails and why, and works again.
  using Report = std::function<void(const std::string& line)>;

  // `loop` outlives the channel.
  Channel(platform::EventLoop& loop, ChannelOptions options, Report report);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void Start() { Connect(); }
  const std::string& socket() const { return options_.socket; }
  // Requests that come from now on are carried with these settings; what is
  // under way ends with the old ones, and the daemon notices nothing.
  [[nodiscard]] Status Renew(TransportSettings transport);

 private:
  struct Link;  // One connection with its lanes.

  void Connect();
  [[nodiscard]] Status TryConnect();
  [[nodiscard]] Result<std::unique_ptr<AuthzClient>> NewClient(
      std::string_view lane) const;
  void Drop(const Error& why);
  void OnReadable();
  void Flush();
  [[nodiscard]] Status Accept(ByteSpan payload);
  void OnReply(uint64_t link, const std::string& lane,
               const v1::UplinkResponse& response);
  void Send(const v1::UplinkResponse& response);
  void Note(const std::string& subject, const std::string& state,
            const std::string& detail);

  platform::EventLoop& loop_;
  ChannelOptions options_;
  const Report report_;
  std::unique_ptr<Link> link_;  // Null while the daemon is away.
  uint64_t links_ = 0;          // How many there have been.
  std::chrono::milliseconds retry_;
  platform::EventLoop::TimerId timer_ = 0;
  std::map<std::string, std::string> noted_;  // Last state of each subject.
};

// Whether the daemon may be who listens there. kUnsafePath unless the listener
// ran as root, as this account, or as the owner of the socket's folder when it
// began to listen. (Whoever may write to a shared folder could put a socket
// of his own there while the daemon is away.)
[[nodiscard]] Status CheckListener(const std::string& socket_path,
                                   const platform::LocalConnection& connection);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_UPLINK_CHANNEL_H_
