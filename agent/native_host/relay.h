// Carries messages between a browser and countersignd, and understands none.
//
// The browser frames with a u32 of native byte order, the daemon with a
// little-endian one; on every machine that we run on these are the same. What
// goes to the daemon gets the connection's nonce (words.h); what comes back
// goes on byte for byte. The connection is made when there is something to
// send, and made again after the daemon was away, so one port of the browser
// outlives any number of daemons.
//
// Promises: every message is answered by the daemon or by one refusal; a
// connection that breaks or does not greet in time is one refusal for all that
// waited for it. Memory is bounded: a side that does not read stops the other
// side from being read. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_NATIVE_HOST_RELAY_H_
#define COUNTERSIGN_AGENT_NATIVE_HOST_RELAY_H_

#include <bit>
#include <chrono>
#include <optional>
#include <string>

#include "agent/ipc/frame.h"
#include "agent/native_host/words.h"
#include "platform/event_loop.h"
#include "platform/local_socket.h"
#include "platform/pipe_pair.h"

namespace countersign::agent {

static_assert(std::endian::native == std::endian::little);

class Relay {
 public:
  // Of one message from the browser; with the nonce it still fits a frame.
  static constexpr size_t kMaxMessage = kMaxClientFrame - kNonceRoom;
  // Waiting for a side that does not read; then the other is not read.
  static constexpr size_t kMaxWaiting = 2 * kMaxClientFrame;
  static constexpr std::chrono::milliseconds kGreetingTimeout{1500};
  // For the browser to take the last refusal before we leave.
  static constexpr std::chrono::milliseconds kPartingTimeout{500};

  // `loop` outlives the relay.
  Relay(platform::EventLoop& loop, platform::PipePair browser,
        std::string socket_path);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // kIoError when the browser's streams cannot be watched.
  [[nodiscard]] Status Start();

  // How it ended, once it has stopped the loop. An error when the browser sent
  // what has no meaning:
  //   kTooLarge        a length over kMaxMessage
  //   kFrameMalformed  a length of zero, or the end within a frame
  [[nodiscard]] const Status& ended() const { return ended_; }

 private:
  void OnBrowserReadable();
  void TakeMessages();
  void Forward(ByteSpan message);
  [[nodiscard]] Status Connect();
  void OnDaemonReadable();
  [[nodiscard]] Status TakeFrames();
  void Greeted(std::string nonce);
  void LoseDaemon(const Error& error);
  void SendRefusal(const Error& error);
  void FlushBrowser();
  void FlushDaemon();
  void Throttle();
  void Part(Status why);
  void Stop();

  platform::EventLoop& loop_;
  platform::PipePair browser_;
  const std::string socket_path_;
  FrameDecoder from_browser_{kMaxMessage};
  Bytes to_browser_;
  bool parting_ = false;  // Reads nothing more, and leaves when all is written.
  Status ended_;

  std::optional<platform::LocalConnection> daemon_;  // Of which:
  FrameDecoder from_daemon_{kMaxClientFrame};
  std::optional<std::string> nonce_;  // Absent: it has not greeted yet.
  Bytes unsent_;     // Messages that wait for the nonce, framed.
  Bytes to_daemon_;  // Framed, with the nonce.
  platform::EventLoop::TimerId greeting_timer_ = 0;
  platform::EventLoop::TimerId parting_timer_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_NATIVE_HOST_RELAY_H_
