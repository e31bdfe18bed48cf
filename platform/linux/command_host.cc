#include "platform/command_host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace countersign::platform {
namespace {

std::string ErrnoText(const char* call) {
  return std::string(call) + ": " + strerror(errno);
}

}  // namespace

Result<OwnedHandle> OpenParentProcess() {
  const pid_t parent = ::getppid();
  OwnedHandle handle(static_cast<Handle>(::syscall(SYS_pidfd_open, parent, 0)));
  // Still our parent: so the handle is to it, and not to a reused pid.
  if (!handle.valid() || ::getppid() != parent) {
    return Fail(ErrorCode::kPeerGone, "the calling process has exited");
  }
  return handle;
}

Result<SignalRelay> SignalRelay::Start() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal :
       {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    ::sigaddset(&set, signal);
  }
  OwnedHandle signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return Fail(ErrorCode::kIoError, ErrnoText("signalfd"));
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return Fail(ErrorCode::kIoError, ErrnoText("sigprocmask"));
  }
  return SignalRelay(std::move(signals));
}

std::optional<int> SignalRelay::Next() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_code != SI_KERNEL) return static_cast<int>(info.ssi_signo);
  }
  return std::nullopt;
}

Result<bool> WaitForEither(Handle first, Handle second,
                           std::chrono::milliseconds timeout) {
  std::array<pollfd, 2> handles{pollfd{first, POLLIN, 0},
                                pollfd{second, POLLIN, 0}};
  while (true) {
    const int ready = ::poll(handles.data(), handles.size(),
                             static_cast<int>(timeout.count()));
    if (ready > 0) return handles[0].revents != 0;
    if (ready == 0) return Fail(ErrorCode::kTimeout, "nothing came");
    if (errno != EINTR) return Fail(ErrorCode::kIoError, ErrnoText("poll"));
  }
}

}  // namespace countersign::platform
