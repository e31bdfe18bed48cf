#include "agent/ipc/server.h"

#include <algorithm>
#include <utility>

namespace countersign::agent {
namespace {

using SteadyClock = std::chrono::steady_clock;

// One turn of the loop reads this much of one peer and accepts this many, so
// that a busy one leaves the others their turn.
constexpr size_t kReadChunk = 64 * 1024;
constexpr int kAcceptsPerTurn = 64;
constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr size_t kKeptCapacity = 16 * 1024;
// More than any request wants: a frame in pieces must not fill our table of
// descriptors.
constexpr size_t kMaxProcesses = 4;

}  // namespace

struct Server::Connection {
  Connection(ConnectionId an_id, platform::LocalConnection a_socket,
             const platform::PeerCredentials& a_peer, User& a_user,
             size_t max_frame)
      : id(an_id),
        socket(std::move(a_socket)),
        peer(a_peer),
        user(a_user),
        decoder(max_frame) {}

  const ConnectionId id;
  platform::LocalConnection socket;
  const platform::PeerCredentials peer;  // Who connected; for the quotas.
  User& user;

  FrameDecoder decoder;
  platform::PeerCredentials writer;  // Of what the decoder holds.
  std::vector<platform::OwnedHandle> processes;
  size_t counted_in = 0;  // Its part of both counts of buffered_in.
  size_t outstanding = 0;

  Bytes out;
  size_t written = 0;
  bool flush_posted = false;
  bool watching_writable = false;
  bool closing = false;

  // Since when half a frame, or an answer, has waited for the peer.
  SteadyClock::time_point reading_since;
  SteadyClock::time_point writing_since;

  [[nodiscard]] size_t waiting() const { return out.size() - written; }
};

Server::Server(platform::EventLoop& loop, ServerHandler& handler,
               const ServerLimits& limits)
    : loop_(loop),
      handler_(handler),
      limits_(limits),
      alive_(std::make_shared<bool>(true)) {}

Server::~Server() {
  *alive_ = false;
  StopListening();
  if (stall_timer_ != 0) loop_.Cancel(stall_timer_);
  for (const auto& [id, connection] : table_) {
    loop_.Remove(connection->socket.handle());
  }
}

Status Server::Listen(platform::LocalListener listener) {
  listener_ = std::make_unique<platform::LocalListener>(std::move(listener));
  CS_RETURN_IF_ERROR(loop_.Add(listener_->handle(), [this] { AcceptSome(); }));
  accepting_ = true;
  return {};
}

void Server::StopListening() {
  if (accept_timer_ != 0) loop_.Cancel(accept_timer_);
  accept_timer_ = 0;
  accepting_ = false;
  if (listener_ == nullptr) return;
  loop_.Remove(listener_->handle());
  listener_.reset();
}

void Server::AcceptSome() {
  for (int i = 0; i < kAcceptsPerTurn && accepting_; ++i) {
    if (table_.size() >= limits_.connections) {
      PauseAccepting(std::chrono::milliseconds(0));
      return;
    }
    auto accepted = listener_->Accept();
    if (!accepted.has_value()) {
      // Out of descriptors: the peer stays queued, so try again later.
      PauseAccepting(kAcceptPause);
      return;
    }
    if (!accepted->has_value()) return;
    Admit(*std::move(*accepted));
  }
}

// Without a duration: until a connection goes.
void Server::PauseAccepting(std::chrono::milliseconds how_long) {
  accepting_ = false;
  loop_.WatchReadable(listener_->handle(), false);
  if (how_long.count() > 0 && accept_timer_ == 0) {
    accept_timer_ = loop_.RunAfter(how_long, [this] {
      accept_timer_ = 0;
      ResumeAccepting();
    });
  }
}

void Server::ResumeAccepting() {
  if (listener_ == nullptr || accepting_) return;
  accepting_ = true;
  loop_.WatchReadable(listener_->handle(), true);
}

void Server::Admit(platform::LocalConnection socket) {
  const auto peer = socket.peer();
  if (!peer.has_value()) return;
  const auto user = users_.find(peer->uid);
  if (user != users_.end() &&
      user->second.connections >= limits_.connections_per_uid) {
    Refuse(socket,
           Error{ErrorCode::kBusy, "this user has too many connections open"});
    return;
  }
  const ConnectionId id = next_id_++;
  auto greeting = handler_.OnConnect(id, socket);
  if (!greeting.has_value()) {
    Refuse(socket, greeting.error());
    return;
  }
  User& of_user = users_[peer->uid];
  ++of_user.connections;
  auto connection = std::make_unique<Connection>(id, std::move(socket), *peer,
                                                 of_user, limits_.frame);
  const platform::Handle handle = connection->socket.handle();
  Connection& added = *connection;
  table_.emplace(id, std::move(connection));
  const Status watched = loop_.Add(
      handle, [this, id] { OnReadable(id); },
      [this, id] {
        if (Connection* found = Find(id)) Flush(*found);
      });
  if (!watched.has_value()) {
    Drop(id);
    return;
  }
  if (!greeting->empty()) Queue(added, *greeting);
}

void Server::Refuse(platform::LocalConnection& socket, const Error& error) {
  Bytes frame;
  AppendFrame(handler_.Refusal(error), frame);
  // A socket that was just accepted has room for one frame; if not, the peer
  // sees the connection close and asks no more.
  (void)socket.Write(frame);
}

void Server::OnReadable(ConnectionId id) {
  Connection* connection = Find(id);
  if (connection == nullptr) return;
  auto received = connection->socket.Read(kReadChunk);
  if (!received.has_value() ||
      (received->has_value() && (*received)->bytes.empty())) {
    Drop(id);
    return;
  }
  if (!received->has_value()) return;
  Deliver(id, **std::move(received));
}

void Server::Deliver(ConnectionId id, platform::Received received) {
  Connection* connection = Find(id);
  const bool was_half = connection->decoder.mid_frame();
  if (was_half && connection->writer != received.writer) {
    RefuseStream(*connection, Error{ErrorCode::kPeerChanged,
                                    "two processes wrote one frame"});
    return;
  }
  connection->writer = received.writer;
  for (auto& process : received.processes) {
    connection->processes.push_back(std::move(process));
  }
  if (connection->processes.size() > kMaxProcesses) {
    connection->processes.clear();
    RefuseStream(*connection, Error{ErrorCode::kBadRequest,
                                    "more process handles than any request "
                                    "wants"});
    return;
  }
  connection->decoder.Feed(received.bytes);
  const uint64_t read = ++reads_;

  bool any = false;
  // The handler may do anything, so look the connection up after each call.
  while ((connection = Find(id)) != nullptr && !connection->closing) {
    auto payload = connection->decoder.Next();
    if (!payload.has_value()) {
      RefuseStream(*connection, payload.error());
      return;
    }
    if (!payload->has_value()) break;
    any = true;
    ++connection->outstanding;
    const size_t of_peer = ++outstanding_of_pid_[connection->peer.pid];
    handler_.OnFrame(id, Frame{**std::move(payload), connection->writer,
                               std::exchange(connection->processes, {}),
                               of_peer > limits_.outstanding_per_peer, read});
  }
  if (connection == nullptr || connection->closing) return;
  CountIn(*connection);
  if (TooMuchIn(*connection)) {
    RefuseStream(*connection,
                 Error{ErrorCode::kBusy, "too much is half received"});
    return;
  }
  if (connection->decoder.mid_frame() && (any || !was_half)) {
    connection->reading_since = SteadyClock::now();
    WatchForStalls();
  }
}

void Server::CountIn(Connection& connection) {
  const size_t now = connection.decoder.buffered();
  const size_t before = std::exchange(connection.counted_in, now);
  buffered_in_ += now - before;  // Modulo 2^n, as below.
  connection.user.buffered_in += now - before;
}

void Server::CountOut(Connection& connection, size_t more, size_t less) {
  buffered_out_ += more - less;
  connection.user.buffered_out += more - less;
}

bool Server::TooMuchIn(const Connection& connection) const {
  return connection.counted_in > 0 &&
         (buffered_in_ > limits_.total_buffers ||
          connection.user.buffered_in > limits_.total_buffers / 2);
}

bool Server::TooMuchOut(const Connection& connection) const {
  return connection.waiting() > limits_.write_buffer ||
         (connection.waiting() > kKeptCapacity &&
          (buffered_out_ > limits_.total_buffers ||
           connection.user.buffered_out > limits_.total_buffers / 2));
}

// Nothing after this point of the stream can be understood.
void Server::RefuseStream(Connection& connection, const Error& error) {
  Queue(connection, handler_.Refusal(error));
  Close(connection.id);
}

void Server::Reply(ConnectionId id, ByteSpan payload) {
  Connection* connection = Find(id);
  if (connection == nullptr) return;
  if (connection->outstanding > 0) {
    --connection->outstanding;
    const auto of_peer = outstanding_of_pid_.find(connection->peer.pid);
    if (--of_peer->second == 0) outstanding_of_pid_.erase(of_peer);
  }
  Queue(*connection, payload);
}

void Server::Push(ConnectionId id, ByteSpan payload) {
  if (Connection* connection = Find(id)) Queue(*connection, payload);
}

void Server::Close(ConnectionId id) {
  Connection* connection = Find(id);
  if (connection == nullptr || connection->closing) return;
  connection->closing = true;
  loop_.WatchReadable(connection->socket.handle(), false);
  if (connection->waiting() == 0) DropSoon(*connection);
}

void Server::Queue(Connection& connection, ByteSpan payload) {
  if (connection.closing) return;
  const size_t before = connection.out.size();
  if (connection.waiting() == 0) {
    connection.writing_since = SteadyClock::now();
  }
  AppendFrame(payload, connection.out);
  CountOut(connection, connection.out.size() - before, 0);
  // Usually written once at the end of the turn, whatever was queued in it.
  if (connection.waiting() > kReadChunk && !connection.watching_writable) {
    Flush(connection);
  }
  if (TooMuchOut(connection)) {
    connection.closing = true;
    DropSoon(connection);
    return;
  }
  if (!connection.flush_posted && !connection.watching_writable) {
    connection.flush_posted = true;
    PostFor(connection.id, &Server::FlushPosted);
  }
}

void Server::FlushPosted(Connection& connection) {
  connection.flush_posted = false;
  Flush(connection);
}

void Server::Flush(Connection& connection) {
  while (connection.waiting() > 0) {
    const auto taken = connection.socket.Write(
        ByteSpan(connection.out).subspan(connection.written));
    if (!taken.has_value()) {
      connection.closing = true;
      DropSoon(connection);
      return;
    }
    if (*taken == 0) break;
    connection.written += *taken;
    CountOut(connection, 0, *taken);
    connection.writing_since = SteadyClock::now();
  }
  const bool full = connection.waiting() > 0;
  if (full != connection.watching_writable) {
    connection.watching_writable = full;
    loop_.WatchWritable(connection.socket.handle(), full);
  }
  if (full) {
    WatchForStalls();
    return;
  }
  connection.out.clear();
  connection.written = 0;
  if (connection.out.capacity() > kKeptCapacity) Bytes().swap(connection.out);
  if (connection.closing) DropSoon(connection);
}

// The connection stays in the table until the loop's next turn, so that no
// caller finds it gone under its feet.
void Server::DropSoon(Connection& connection) {
  PostFor(connection.id, &Server::DropNow);
}

void Server::DropNow(Connection& connection) { Drop(connection.id); }

void Server::PostFor(ConnectionId id, void (Server::*step)(Connection&)) {
  loop_.Post([this, alive = alive_, id, step] {
    if (!*alive) return;
    if (Connection* connection = Find(id)) (this->*step)(*connection);
  });
}

void Server::Drop(ConnectionId id) {
  const auto found = table_.find(id);
  if (found == table_.end()) return;
  const std::unique_ptr<Connection> gone = std::move(found->second);
  table_.erase(found);
  loop_.Remove(gone->socket.handle());
  buffered_in_ -= gone->counted_in;
  gone->user.buffered_in -= gone->counted_in;
  CountOut(*gone, 0, gone->waiting());
  if (--gone->user.connections == 0) users_.erase(gone->peer.uid);
  const auto of_peer = outstanding_of_pid_.find(gone->peer.pid);
  if (of_peer != outstanding_of_pid_.end()) {
    of_peer->second -= std::min(of_peer->second, gone->outstanding);
    if (of_peer->second == 0) outstanding_of_pid_.erase(of_peer);
  }
  handler_.OnClose(id);
  if (accept_timer_ == 0) ResumeAccepting();
}

void Server::WatchForStalls() {
  if (stall_timer_ != 0) return;
  stall_timer_ = loop_.RunAfter(limits_.stall_timeout, [this] {
    stall_timer_ = 0;
    CutStalled();
  });
}

void Server::CutStalled() {
  const auto now = SteadyClock::now();
  std::vector<ConnectionId> stalled;
  bool any_left = false;
  for (const auto& [id, connection] : table_) {
    const bool reading = connection->decoder.mid_frame();
    const bool writing = connection->waiting() > 0;
    if ((reading && now - connection->reading_since >= limits_.stall_timeout) ||
        (writing && now - connection->writing_since >= limits_.stall_timeout)) {
      stalled.push_back(id);
    } else if (reading || writing) {
      any_left = true;
    }
  }
  for (const ConnectionId id : stalled) Drop(id);
  if (any_left) WatchForStalls();
}

Server::Connection* Server::Find(ConnectionId id) {
  const auto found = table_.find(id);
  return found == table_.end() ? nullptr : found->second.get();
}

}  // namespace countersign::agent
