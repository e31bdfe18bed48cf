#include "platform/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "attest/base/text.h"

namespace countersign::platform {
namespace {

struct Pipe {
  OwnedHandle read;
  OwnedHandle write;
};

Result<Pipe> NewPipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Fail(ErrorCode::kIoError, std::strerror(errno));
  }
  return Pipe{OwnedHandle(ends[0]), OwnedHandle(ends[1])};
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

bool ReadFully(Handle handle, void* data, size_t size) {
  auto* next = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::read(handle, next, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    next += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

// In the child, from fork to exec. Waits for "KEY=VALUE" strings, each with
// its NUL, in one length-prefixed block; the end of the pipe without one means
// that the parent has gone.
[[noreturn]] void HoldThenExec(Handle go, Handle failed, char* const* argv) {
  // Should the parent be killed while the program is stopped, it runs on.
  ::prctl(PR_SET_PDEATHSIG, SIGCONT);
  uint32_t size = 0;
  if (!ReadFully(go, &size, sizeof(size))) ::_exit(125);
  std::string block(size, '\0');
  if (!ReadFully(go, block.data(), block.size())) ::_exit(125);
  for (size_t at = 0; at < block.size();) {
    char* const entry = block.data() + at;
    ::putenv(entry);
    at += std::strlen(entry) + 1;
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execvp(argv[0], argv);
  const int reason = errno;
  (void)!::write(failed, &reason, sizeof(reason));
  ::_exit(reason == ENOENT ? 127 : 126);
}

}  // namespace

struct HeldChild::State {
  pid_t pid = -1;
  OwnedHandle process;
  OwnedHandle go;      // Write end: what to set before exec.
  OwnedHandle failed;  // Read end: closed by exec, or the reason it failed.
  std::string program;
  bool held = true;               // Has run nothing of the program's yet.
  std::optional<int> ended = {};  // As waitpid(2) has it.

  [[nodiscard]] bool Trace() const;
  void StopAtExec();
};

// To see it exec and for nothing else: it is let go there.
bool HeldChild::State::Trace() const {
  return ::ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACEEXEC) == 0;
}

// Passes on what signals come until exec; then leaves the program stopped, and
// not traced any more.
void HeldChild::State::StopAtExec() {
  constexpr int kExec = SIGTRAP | (PTRACE_EVENT_EXEC << 8);
  while (true) {
    int status = 0;
    const pid_t changed = ::waitpid(pid, &status, 0);
    if (changed < 0 && errno == EINTR) continue;
    if (changed < 0) return;
    if (!WIFSTOPPED(status)) {
      ended = status;
      return;
    }
    if (status >> 8 == kExec) {
      ::kill(pid, SIGSTOP);  // Takes effect before the first instruction.
      ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
      return;
    }
    const bool is_signal = status >> 16 == 0;
    ::ptrace(PTRACE_CONT, pid, nullptr, is_signal ? WSTOPSIG(status) : 0);
  }
}

HeldChild::HeldChild(std::unique_ptr<State> state) : state_(std::move(state)) {}
HeldChild::HeldChild(HeldChild&&) noexcept = default;
HeldChild& HeldChild::operator=(HeldChild&&) noexcept = default;

HeldChild::~HeldChild() {
  if (state_ == nullptr || state_->ended.has_value() || !state_->held) return;
  ::kill(state_->pid, SIGKILL);
  ::waitpid(state_->pid, nullptr, 0);
}

Result<HeldChild> HeldChild::Spawn(std::vector<std::string> argv) {
  if (argv.empty()) return Fail(ErrorCode::kBadRequest, "no command");
  CS_ASSIGN_OR_RETURN(Pipe go, NewPipe());
  CS_ASSIGN_OR_RETURN(Pipe failed, NewPipe());
  const std::vector<char*> arguments = Pointers(argv);
  auto state = std::make_unique<State>();
  state->program = argv[0];
  state->pid = ::fork();
  if (state->pid < 0) {
    return Fail(ErrorCode::kIoError,
                std::string("fork: ") + std::strerror(errno));
  }
  if (state->pid == 0) {
    go.write.Reset();
    HoldThenExec(go.read.get(), failed.write.get(), arguments.data());
  }
  // Our child: its pid cannot be reused before we wait for it.
  state->process = OwnedHandle(
      static_cast<Handle>(::syscall(SYS_pidfd_open, state->pid, 0)));
  state->go = std::move(go.write);
  state->failed = std::move(failed.read);
  HeldChild child(std::move(state));
  if (!child.state_->process.valid()) {
    return Fail(ErrorCode::kIoError,
                std::string("pidfd_open: ") + std::strerror(errno));
  }
  return child;
}

Status HeldChild::Release(
    std::span<const std::pair<std::string, std::string>> environment) {
  std::string block;
  for (const auto& [key, value] : environment) {
    block += key + "=" + value;
    block.push_back('\0');
  }
  const auto size = static_cast<uint32_t>(block.size());
  std::string message(reinterpret_cast<const char*>(&size), sizeof(size));
  message += block;
  const bool traced = state_->Trace();
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  const ssize_t written =
      ::write(state_->go.get(), message.data(), message.size());
  ::signal(SIGPIPE, before);
  state_->go.Reset();
  if (written != static_cast<ssize_t>(message.size())) {
    return Fail(ErrorCode::kPeerGone, "the command ended before it began");
  }
  if (traced) {
    state_->StopAtExec();
  } else {
    state_->held = false;
  }
  int reason = 0;
  if (!ReadFully(state_->failed.get(), &reason, sizeof(reason))) return {};
  return Fail(reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError,
              Printable(state_->program) + ": " + std::strerror(reason));
}

void HeldChild::Continue() {
  state_->held = false;
  Signal(SIGCONT);
}

Result<int> HeldChild::Wait() {
  while (!state_->ended.has_value()) {
    int status = 0;
    if (::waitpid(state_->pid, &status, 0) >= 0) {
      state_->ended = status;
    } else if (errno != EINTR) {
      return Fail(ErrorCode::kIoError, std::strerror(errno));
    }
  }
  const int status = *state_->ended;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void HeldChild::Signal(int signal) {
  ::syscall(SYS_pidfd_send_signal, state_->process.get(), signal, nullptr, 0);
}

Handle HeldChild::process() const { return state_->process.get(); }
uint32_t HeldChild::pid() const { return static_cast<uint32_t>(state_->pid); }

}  // namespace countersign::platform
