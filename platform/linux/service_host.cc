#include "platform/service_host.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

namespace countersign::platform {
namespace {

class SystemdHost final : public ServiceHost {
 public:
  explicit SystemdHost(OwnedHandle signals) : signals_(std::move(signals)) {
    TakeListenSockets();
  }
  ~SystemdHost() override {
    if (loop_ != nullptr) loop_->Remove(signals_.get());
  }

  Status Watch(EventLoop& loop, std::function<void()> on_terminate,
               std::function<void()> on_reload) override {
    on_terminate_ = std::move(on_terminate);
    on_reload_ = std::move(on_reload);
    CS_RETURN_IF_ERROR(loop.Add(signals_.get(), [this] { ReadSignals(); }));
    loop_ = &loop;
    return {};
  }

  void NotifyReady() override { ::sd_notify(0, "READY=1"); }
  void NotifyStopping() override { ::sd_notify(0, "STOPPING=1"); }
  void NotifyStatus(std::string_view status) override {
    std::string line = "STATUS=" + std::string(status);
    for (char& character : line) {
      if (character == '\n') character = ' ';  // One message, one line.
    }
    ::sd_notify(0, line.c_str());
  }

  OwnedHandle TakeSocket(std::string_view name) override {
    const auto found = sockets_.find(std::string(name));
    if (found == sockets_.end()) return {};
    OwnedHandle socket = std::move(found->second);
    sockets_.erase(found);
    return socket;
  }

 private:
  void TakeListenSockets() {
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
      sockets_[names[i]] = OwnedHandle(SD_LISTEN_FDS_START + i);
      ::free(names[i]);
    }
    ::free(names);
  }

  void ReadSignals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      // Copies: a callback may replace itself.
      const auto callback =
          info.ssi_signo == SIGHUP ? on_reload_ : on_terminate_;
      if (callback) callback();
    }
  }

  OwnedHandle signals_;
  EventLoop* loop_ = nullptr;
  std::function<void()> on_terminate_;
  std::function<void()> on_reload_;
  std::map<std::string, OwnedHandle> sockets_;
};

}  // namespace

Result<std::unique_ptr<ServiceHost>> ServiceHost::Create() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&watched, number);
  }
  ::pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  OwnedHandle signals(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) {
    return Fail(ErrorCode::kIoError,
                std::string("signalfd: ") + std::strerror(errno));
  }
  return std::make_unique<SystemdHost>(std::move(signals));
}

}  // namespace countersign::platform
