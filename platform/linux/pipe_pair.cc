#include "platform/pipe_pair.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace countersign::platform {
namespace {

tl::unexpected<Error> SystemError(std::string_view what) {
  return Fail(ErrorCode::kIoError,
              std::string(what) + ": " + std::strerror(errno));
}

Status StopBlocking(Handle handle) {
  const int flags = ::fcntl(handle, F_GETFL);
  if (flags < 0 || ::fcntl(handle, F_SETFL, flags | O_NONBLOCK) != 0) {
    return SystemError("fcntl");
  }
  return {};
}

// A handle of our own that no child inherits; the standard one is then free to
// point elsewhere.
OwnedHandle MoveAway(Handle standard) {
  return OwnedHandle(::fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

}  // namespace

Result<PipePair> PipePair::FromStandardStreams() {
  OwnedHandle input = MoveAway(STDIN_FILENO);
  OwnedHandle output = MoveAway(STDOUT_FILENO);
  if (!input.valid() || !output.valid()) return SystemError("standard streams");
  const OwnedHandle nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing.valid() || ::dup2(nothing.get(), STDIN_FILENO) < 0 ||
      ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    return SystemError("standard streams");
  }
  return Adopt(std::move(input), std::move(output));
}

Result<PipePair> PipePair::Adopt(OwnedHandle input, OwnedHandle output) {
  CS_RETURN_IF_ERROR(StopBlocking(input.get()));
  CS_RETURN_IF_ERROR(StopBlocking(output.get()));
  ::signal(SIGPIPE, SIG_IGN);
  return PipePair(std::move(input), std::move(output));
}

Result<std::optional<Bytes>> PipePair::Read(size_t max) {
  Bytes bytes(max);
  ssize_t size = -1;
  do {
    size = ::read(input_.get(), bytes.data(), bytes.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return std::nullopt;
  if (size < 0) return SystemError("read");
  bytes.resize(static_cast<size_t>(size));
  return bytes;
}

Result<size_t> PipePair::Write(ByteSpan bytes) {
  if (bytes.empty()) return size_t{0};
  ssize_t size = -1;
  do {
    size = ::write(output_.get(), bytes.data(), bytes.size());
  } while (size < 0 && errno == EINTR);
  if (size >= 0) return static_cast<size_t>(size);
  if (errno == EAGAIN) return size_t{0};
  if (errno == EPIPE) return Fail(ErrorCode::kPeerGone, "nobody reads");
  return SystemError("write");
}

}  // namespace countersign::platform
