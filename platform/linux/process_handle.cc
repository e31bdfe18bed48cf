#include "platform/linux/process_handle.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace countersign::platform {
namespace {

// The number after "Pid:" in the kernel's description of the handle; only
// pidfds have such a line.
std::optional<int64_t> PidLine(Handle handle) {
  const std::string path = "/proc/self/fdinfo/" + std::to_string(handle);
  const OwnedHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> buffer;
  const ssize_t size =
      file.valid() ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  if (size <= 0) return std::nullopt;
  const std::string_view text(buffer.data(), static_cast<size_t>(size));
  constexpr std::string_view kLabel = "\nPid:\t";
  const size_t at = text.find(kLabel);
  if (at == std::string_view::npos) return std::nullopt;
  const char* const start = text.data() + at + kLabel.size();
  int64_t pid = 0;
  const auto parsed = std::from_chars(start, text.data() + text.size(), pid);
  if (parsed.ec != std::errc()) return std::nullopt;
  return pid;
}

}  // namespace

bool IsProcessHandle(Handle handle) { return PidLine(handle).has_value(); }

Result<uint32_t> PidOf(Handle process) {
  const std::optional<int64_t> pid = PidLine(process);
  if (!pid.has_value()) return Fail(ErrorCode::kBadRequest, "not a process");
  if (*pid == 0) {
    return Fail(ErrorCode::kPeerIdentityUnknown, "of another pid namespace");
  }
  if (*pid < 0) return Fail(ErrorCode::kPeerGone, "the process has ended");
  return static_cast<uint32_t>(*pid);
}

bool HasExited(Handle process) {
  pollfd waiting{process, POLLIN, 0};
  return ::poll(&waiting, 1, 0) != 0;
}

}  // namespace countersign::platform
