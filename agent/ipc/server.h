// Many local connections on one event loop, as frames.
//
// No connection can harm another: reads are bounded a turn, a peer that does
// not read its answers is disconnected once its buffer is full, half a frame
// that stays half is cut off, the table is bounded for all and for each user,
// and an exhausted process pauses accepting instead of spinning. Every frame
// comes with the kernel's word on who wrote it. Knows nothing of what frames
// mean and judges nobody. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_IPC_SERVER_H_
#define COUNTERSIGN_AGENT_IPC_SERVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "agent/ipc/frame.h"
#include "platform/event_loop.h"
#include "platform/local_socket.h"

namespace countersign::agent {

using ConnectionId = uint64_t;

struct Frame {
  Bytes payload;
  platform::PeerCredentials writer;  // Of every byte of the frame.
  std::vector<platform::OwnedHandle> processes;
  // The peer has as many requests under way as it may: refuse this one.
  bool over_quota = false;
  // Equal for frames that one read completed: what was checked of the peer
  // since that read holds for all of them. Never 0.
  uint64_t read = 0;
};

class ServerHandler {
 public:
  virtual ~ServerHandler() = default;
  // Payload of the frame to greet with; empty: none. An error is sent in place
  // of it, as `Refusal` encodes it, and the connection is closed: OnClose is
  // not called.
  [[nodiscard]] virtual Result<Bytes> OnConnect(
      ConnectionId id, const platform::LocalConnection& connection) = 0;
  [[nodiscard]] virtual Bytes Refusal(const Error& error) = 0;
  virtual void OnFrame(ConnectionId id, Frame frame) = 0;
  // The connection is gone; its id is never used again.
  virtual void OnClose(ConnectionId id) = 0;
};

struct ServerLimits {
  size_t connections = 4096;
  size_t connections_per_uid = 3072;
  size_t outstanding_per_peer = 256;  // Requests without an answer, a process.
  size_t frame = kMaxClientFrame;
  size_t write_buffer = size_t{8} << 20;  // Of one connection.
  // Of all connections, for each way; one user has at most half of it.
  size_t total_buffers = size_t{64} << 20;
  // For the rest of a frame after its first byte, and for a peer to take
  // anything of what is waiting for it.
  std::chrono::milliseconds stall_timeout{10'000};
};

class Server {
 public:
  // `loop` and `handler` outlive the server.
  Server(platform::EventLoop& loop, ServerHandler& handler,
         const ServerLimits& limits);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] Status Listen(platform::LocalListener listener);
  // Accepts nobody any more; what is connected stays.
  void StopListening();
  void set_outstanding_per_peer(size_t limit) {
    limits_.outstanding_per_peer = limit;
  }

  // None of these calls OnClose before it returns; with an id whose connection
  // is gone they do nothing.
  //
  // Answers one frame: takes it off the peer's quota. Each frame that
  // OnFrame got is to be answered once.
  void Reply(ConnectionId id, ByteSpan payload);
  // Sends a frame that answers none.
  void Push(ConnectionId id, ByteSpan payload);
  // Reads no more, and closes once what is waiting has been written.
  void Close(ConnectionId id);

  [[nodiscard]] size_t connections() const { return table_.size(); }
  // True when nothing is waiting to be written.
  [[nodiscard]] bool flushed() const { return buffered_out_ == 0; }

 private:
  struct Connection;
  // What one user takes of what all share.
  struct User {
    size_t connections = 0;
    size_t buffered_in = 0;
    size_t buffered_out = 0;
  };

  void AcceptSome();
  void PauseAccepting(std::chrono::milliseconds how_long);
  void ResumeAccepting();
  void Admit(platform::LocalConnection socket);
  void Refuse(platform::LocalConnection& socket, const Error& error);
  void OnReadable(ConnectionId id);
  void Deliver(ConnectionId id, platform::Received received);
  void RefuseStream(Connection& connection, const Error& error);
  void CountIn(Connection& connection);
  void CountOut(Connection& connection, size_t more, size_t less);
  [[nodiscard]] bool TooMuchIn(const Connection& connection) const;
  [[nodiscard]] bool TooMuchOut(const Connection& connection) const;
  void Queue(Connection& connection, ByteSpan payload);
  void Flush(Connection& connection);
  void DropSoon(Connection& connection);
  void Drop(ConnectionId id);
  void PostFor(ConnectionId id, void (Server::*step)(Connection&));
  void DropNow(Connection& connection);
  void FlushPosted(Connection& connection);
  void WatchForStalls();
  void CutStalled();
  [[nodiscard]] Connection* Find(ConnectionId id);

  platform::EventLoop& loop_;
  ServerHandler& handler_;
  ServerLimits limits_;
  std::unique_ptr<platform::LocalListener> listener_;
  bool accepting_ = false;
  platform::EventLoop::TimerId accept_timer_ = 0;
  platform::EventLoop::TimerId stall_timer_ = 0;
  ConnectionId next_id_ = 1;
  uint64_t reads_ = 0;
  std::unordered_map<ConnectionId, std::unique_ptr<Connection>> table_;
  std::unordered_map<uint32_t, User> users_;  // All have connections.
  std::unordered_map<uint32_t, size_t> outstanding_of_pid_;
  size_t buffered_in_ = 0;
  size_t buffered_out_ = 0;
  std::shared_ptr<bool> alive_;  // Posted work may outlive the server.
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_IPC_SERVER_H_
