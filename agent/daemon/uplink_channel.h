// The daemon's end of the line to countersign-uplink: bytes out, bytes back.
//
// Nothing that comes back is believed here or proven by having come back:
// whoever gets an answer verifies its signature (service_link.h). Only one
// uplink at a time, of the uplink's own account. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_UPLINK_CHANNEL_H_
#define COUNTERSIGN_AGENT_DAEMON_UPLINK_CHANNEL_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "agent/ipc/server.h"
#include "attest/base/result.h"
#include "countersign/v1/uplink.pb.h"
#include "platform/event_loop.h"
#include "platform/local_socket.h"

namespace countersign::agent {

class UplinkChannel final : private ServerHandler {
 public:
  using Done = std::function<void(Result<v1::UplinkResponse>)>;

  // `on_change(connected)` runs when the uplink comes or goes.
  UplinkChannel(platform::EventLoop& loop, uint32_t uplink_uid,
                std::function<void(bool)> on_change);
  ~UplinkChannel() override;

  [[nodiscard]] Status Listen(platform::LocalListener listener);

  // Sends `request` (its id is filled in). `done` runs exactly once, never
  // before this returns:
  //   kUplinkDown   no uplink is connected, or it went away meanwhile
  //   kTimeout      no answer within the request's timeout and a little more
  //   otherwise the response, with http_status 0 if no answer came: then its
  //   `error` says why
  void Call(v1::UplinkRequest request, Done done);

  [[nodiscard]] bool connected() const { return uplink_.has_value(); }

 private:
  struct Waiting {
    Done done;
    platform::EventLoop::TimerId timer = 0;
  };

  Result<Bytes> OnConnect(ConnectionId id,
                          const platform::LocalConnection& socket) override;
  Bytes Refusal(const Error& error) override;
  void OnFrame(ConnectionId id, Frame frame) override;
  void OnClose(ConnectionId id) override;

  void Finish(uint64_t id, Result<v1::UplinkResponse> result);

  platform::EventLoop& loop_;
  const uint32_t uplink_uid_;
  std::function<void(bool)> on_change_;
  std::optional<ConnectionId> uplink_;
  uint64_t next_id_ = 1;
  std::unordered_map<uint64_t, Waiting> waiting_;
  Server server_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_UPLINK_CHANNEL_H_
