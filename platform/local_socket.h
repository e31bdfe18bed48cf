// The local stream socket between our programs, and who wrote what on it.
//
// Never trusts what a peer says of itself: every read comes with the kernel's
// word on which process wrote exactly these bytes. Never raises SIGPIPE.
// Links neither OpenSSL nor a TPM stack: the browser's relay uses it too.
// Not thread-safe: one connection, one thread.
#ifndef COUNTERSIGN_PLATFORM_LOCAL_SOCKET_H_
#define COUNTERSIGN_PLATFORM_LOCAL_SOCKET_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

// As the kernel sees the process; pid 0 when the kernel does not say (a
// process outside our pid namespace).
struct PeerCredentials {
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  friend bool operator==(const PeerCredentials&,
                         const PeerCredentials&) = default;
};

struct Received {
  Bytes bytes;             // Empty: the peer has closed its end.
  PeerCredentials writer;  // Of all of `bytes`: reads never merge writers.
  // Process handles that came along; handles to anything else were closed.
  std::vector<OwnedHandle> processes;
};

class LocalConnection {
 public:
  // kDaemonNotRunning when nobody listens there, kTimeout when the listener's
  // queue stays full, kUnsafePath when the path is not a socket.
  [[nodiscard]] static Result<LocalConnection> Connect(
      const std::string& path, std::chrono::milliseconds timeout);
  // Two connected ends, for tests and for a parent and its child.
  [[nodiscard]] static Result<std::pair<LocalConnection, LocalConnection>>
  Pair();
  // Takes over a connected stream socket, e.g. an accepted one.
  [[nodiscard]] static Result<LocalConnection> Adopt(OwnedHandle socket);

  // Whatever has arrived, at most `max` bytes; nothing if none has. Never
  // blocks. kIoError when the connection broke.
  [[nodiscard]] Result<std::optional<Received>> Read(size_t max);
  // Writes what the kernel takes now and says how much: 0 means full. Never
  // blocks. kPeerGone when the peer has closed.
  [[nodiscard]] Result<size_t> Write(ByteSpan bytes);
  // The same, with a handle to a process riding on the first byte.
  [[nodiscard]] Result<size_t> WriteWithProcess(ByteSpan bytes, Handle process);

  // For clients that have nothing else to do. kTimeout.
  [[nodiscard]] Status WaitReadable(std::chrono::milliseconds timeout);
  [[nodiscard]] Status WriteAll(ByteSpan bytes,
                                std::chrono::milliseconds timeout);

  // Who called connect(), which need not be who writes.
  [[nodiscard]] Result<PeerCredentials> peer() const;
  [[nodiscard]] Handle handle() const { return socket_.get(); }

 private:
  explicit LocalConnection(OwnedHandle socket) : socket_(std::move(socket)) {}
  OwnedHandle socket_;
};

class LocalListener {
 public:
  // Listens at `path` with permission bits `mode` (e.g. 0666: anyone may
  // connect). A socket left by a dead daemon is replaced; a lock file beside
  // it (`path`.lock) keeps two daemons apart. Checks, in this order:
  //   kUnsafePath      the folder is missing, a symbolic link, owned by
  //                    neither us nor root, or writable by others without
  //                    the sticky bit; something at `path` or the lock file
  //                    that is a link, not a socket (or file), or another
  //                    user's
  //   kAlreadyRunning  another process holds the lock
  [[nodiscard]] static Result<LocalListener> Listen(const std::string& path,
                                                    uint32_t mode);
  // A listening socket that the service manager made (socket activation).
  [[nodiscard]] static Result<LocalListener> Adopt(OwnedHandle socket);

  LocalListener(LocalListener&&) noexcept = default;
  LocalListener& operator=(LocalListener&&) noexcept = default;
  // Removes the socket if it made it; the lock file stays.
  ~LocalListener();

  // The next connection, if one waits. Never blocks. kIoError when out of
  // descriptors: the connection stays queued, so pause before the next try.
  [[nodiscard]] Result<std::optional<LocalConnection>> Accept();
  [[nodiscard]] Handle handle() const { return socket_.get(); }

 private:
  LocalListener(OwnedHandle socket, OwnedHandle lock, std::string path);
  OwnedHandle socket_;
  OwnedHandle lock_;
  std::string path_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_LOCAL_SOCKET_H_
