#include "platform/local_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "platform/linux/process_handle.h"
#include "platform/safe_path.h"

namespace countersign::platform {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 1024;
constexpr size_t kMaxPassedHandles = 4;

tl::unexpected<Error> SystemError(std::string_view what) {
  return Fail(ErrorCode::kIoError,
              std::string(what) + ": " + std::strerror(errno));
}

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kUnsafePath, path + " is no usable socket path");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

OwnedHandle NewSocket() {
  return OwnedHandle(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// On a listener too: accepted sockets inherit it, so that not even the first
// byte arrives without its writer's credentials.
Status AskForCredentials(Handle socket) {
  const int on = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) {
    return SystemError("SO_PASSCRED");
  }
  return {};
}

milliseconds Left(Clock::time_point end) {
  return std::max(std::chrono::duration_cast<milliseconds>(end - Clock::now()),
                  milliseconds(0));
}

Status WaitFor(Handle handle, short events, milliseconds timeout) {
  const Clock::time_point end = Clock::now() + timeout;
  while (true) {
    pollfd waiting{handle, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(Left(end).count()));
    if (ready > 0) return {};
    if (ready == 0) return Fail(ErrorCode::kTimeout, "local socket");
    if (errno != EINTR) return SystemError("poll");
  }
}

// Takes the ancillary data of one message into `received`. Closes every handle
// that is not a process: a peer must not fill our descriptor table.
void TakeAncillary(msghdr& message, Received& received) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_CREDENTIALS) {
      ucred writer{};
      std::memcpy(&writer, CMSG_DATA(part), sizeof(writer));
      received.writer = {static_cast<uint32_t>(writer.pid), writer.uid,
                         writer.gid};
    } else if (part->cmsg_type == SCM_RIGHTS) {
      const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        Handle handle = kNoHandle;
        std::memcpy(&handle, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
        OwnedHandle owned(handle);
        if (IsProcessHandle(owned.get())) {
          received.processes.push_back(std::move(owned));
        }
      }
    }
  }
}

// Removes a socket whose daemon is dead: we hold the lock, so it is.
Status ClearPath(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return SystemError(path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Fail(ErrorCode::kUnsafePath, path + " exists and is not a socket");
  }
  if (info.st_uid != ::geteuid()) {
    return Fail(ErrorCode::kUnsafePath, path + " is another user's");
  }
  if (::unlink(path.c_str()) != 0) return SystemError(path);
  return {};
}

Result<size_t> Send(Handle socket, msghdr& message) {
  while (true) {
    const ssize_t sent =
        ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return size_t{0};
    if (errno == EPIPE || errno == ECONNRESET) {
      return Fail(ErrorCode::kPeerGone, "the peer has closed the connection");
    }
    return SystemError("sendmsg");
  }
}

}  // namespace

Result<LocalConnection> LocalConnection::Connect(const std::string& path,
                                                 milliseconds timeout) {
  CS_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  OwnedHandle socket = NewSocket();
  if (!socket.valid()) return SystemError("socket");
  const Clock::time_point end = Clock::now() + timeout;
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)) != 0) {
    if (errno == EAGAIN || errno == EINTR) {  // The listener's queue is full.
      if (Clock::now() >= end) return Fail(ErrorCode::kTimeout, path);
      std::this_thread::sleep_for(milliseconds(5));
      continue;
    }
    struct stat info {};
    if (errno == ECONNREFUSED && ::stat(path.c_str(), &info) == 0 &&
        !S_ISSOCK(info.st_mode)) {
      return Fail(ErrorCode::kUnsafePath, path + " is not a socket");
    }
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return Fail(ErrorCode::kDaemonNotRunning, "nobody listens at " + path);
    }
    return SystemError(path);
  }
  return Adopt(std::move(socket));
}

Result<std::pair<LocalConnection, LocalConnection>> LocalConnection::Pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends.data()) != 0) {
    return SystemError("socketpair");
  }
  OwnedHandle first(ends[0]);
  OwnedHandle second(ends[1]);
  CS_ASSIGN_OR_RETURN(auto one, Adopt(std::move(first)));
  CS_ASSIGN_OR_RETURN(auto other, Adopt(std::move(second)));
  return std::pair(std::move(one), std::move(other));
}

Result<LocalConnection> LocalConnection::Adopt(OwnedHandle socket) {
  CS_RETURN_IF_ERROR(AskForCredentials(socket.get()));
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return SystemError("fcntl");
  }
  return LocalConnection(std::move(socket));
}

Result<std::optional<Received>> LocalConnection::Read(size_t max) {
  Received received;
  received.bytes.resize(max);
  iovec piece{received.bytes.data(), received.bytes.size()};
  alignas(cmsghdr)
      std::array<char, CMSG_SPACE(sizeof(ucred)) +
                           CMSG_SPACE(sizeof(int) * kMaxPassedHandles)>
          ancillary;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.data();
  message.msg_controllen = ancillary.size();
  ssize_t size = -1;
  do {
    size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    if (errno == EAGAIN) return std::nullopt;
    if (errno == ECONNRESET) {
      received.bytes.clear();
      return received;
    }
    return SystemError("recvmsg");
  }
  received.bytes.resize(static_cast<size_t>(size));
  TakeAncillary(message, received);
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return Fail(ErrorCode::kBadRequest, "more handles than a message may pass");
  }
  return received;
}

Result<size_t> LocalConnection::Write(ByteSpan bytes) {
  if (bytes.empty()) return size_t{0};
  iovec piece{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  return Send(socket_.get(), message);
}

Result<size_t> LocalConnection::WriteWithProcess(ByteSpan bytes,
                                                 Handle process) {
  if (bytes.empty()) return size_t{0};
  iovec piece{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> ancillary{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.data();
  message.msg_controllen = ancillary.size();
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(part), &process, sizeof(int));
  return Send(socket_.get(), message);
}

Status LocalConnection::WaitReadable(milliseconds timeout) {
  return WaitFor(socket_.get(), POLLIN, timeout);
}

Status LocalConnection::WriteAll(ByteSpan bytes, milliseconds timeout) {
  const Clock::time_point end = Clock::now() + timeout;
  while (!bytes.empty()) {
    CS_ASSIGN_OR_RETURN(const size_t written, Write(bytes));
    bytes = bytes.subspan(written);
    if (written == 0) {
      CS_RETURN_IF_ERROR(WaitFor(socket_.get(), POLLOUT, Left(end)));
    }
  }
  return {};
}

Result<PeerCredentials> LocalConnection::peer() const {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return SystemError("SO_PEERCRED");
  }
  return PeerCredentials{static_cast<uint32_t>(peer.pid), peer.uid, peer.gid};
}

Result<LocalListener> LocalListener::Listen(const std::string& path,
                                            uint32_t mode) {
  CS_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  CS_RETURN_IF_ERROR(CheckFolder(FolderOf(path), FolderUse::kShared));
  CS_ASSIGN_OR_RETURN(OwnedHandle lock, LockFile(path + ".lock"));
  CS_RETURN_IF_ERROR(ClearPath(path));
  OwnedHandle socket = NewSocket();
  if (!socket.valid()) return SystemError("socket");
  // The mode is that of the socket's inode before it has a name: no moment in
  // which the file is more open than asked for, and no umask to change.
  if (::fchmod(socket.get(), static_cast<mode_t>(mode)) != 0) {
    return SystemError("fchmod");
  }
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return SystemError(path);
  }
  if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) {
    return SystemError(path);
  }
  if (::listen(socket.get(), kBacklog) != 0) return SystemError("listen");
  CS_RETURN_IF_ERROR(AskForCredentials(socket.get()));
  return LocalListener(std::move(socket), std::move(lock), path);
}

Result<LocalListener> LocalListener::Adopt(OwnedHandle socket) {
  int listening = 0;
  socklen_t size = sizeof(listening);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening,
                   &size) != 0 ||
      listening == 0) {
    return Fail(ErrorCode::kBadRequest, "not a listening socket");
  }
  CS_RETURN_IF_ERROR(AskForCredentials(socket.get()));
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return SystemError("fcntl");
  }
  return LocalListener(std::move(socket), OwnedHandle(), {});
}

LocalListener::LocalListener(OwnedHandle socket, OwnedHandle lock,
                             std::string path)
    : socket_(std::move(socket)),
      lock_(std::move(lock)),
      path_(std::move(path)) {}

LocalListener::~LocalListener() {
  if (socket_.valid() && !path_.empty()) ::unlink(path_.c_str());
}

Result<std::optional<LocalConnection>> LocalListener::Accept() {
  while (true) {
    OwnedHandle socket(::accept4(socket_.get(), nullptr, nullptr,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
      CS_ASSIGN_OR_RETURN(auto connection,
                          LocalConnection::Adopt(std::move(socket)));
      return connection;
    }
    if (errno == EAGAIN) return std::nullopt;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    return SystemError("accept");
  }
}

}  // namespace countersign::platform
