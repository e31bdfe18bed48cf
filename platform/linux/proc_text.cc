#include "platform/linux/proc_text.h"

#include <charconv>
#include <optional>
#include <vector>

#include "attest/base/text.h"

namespace countersign::platform {
namespace {

constexpr size_t kMaxUnit = 256;
constexpr size_t kContainerIdSize = 64;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    if (end != 0) parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

template <typename T>
std::optional<T> Number(std::string_view text) {
  T value = 0;
  const auto parsed =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

tl::unexpected<Error> Unknown(const char* file) {
  return Fail(ErrorCode::kPeerIdentityUnknown,
              std::string("/proc/PID/") + file + " is not understood");
}

// The value of the line that starts with `label`, split at tabs.
std::vector<std::string_view> Line(std::string_view text,
                                   std::string_view label) {
  for (const std::string_view line : Split(text, '\n')) {
    if (line.starts_with(label)) return Split(line.substr(label.size()), '\t');
  }
  return {};
}

bool IsUnit(std::string_view name) {
  return (name.ends_with(".service") || name.ends_with(".scope")) &&
         CheckText(name, kMaxUnit, "unit").has_value();
}

std::string ContainerIdIn(std::string_view name) {
  size_t digits = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    digits = hex ? digits + 1 : 0;
    const bool ends = i + 1 == name.size() || name[i + 1] == '.';
    if (digits == kContainerIdSize && ends) {
      return std::string(
          name.substr(i + 1 - kContainerIdSize, kContainerIdSize));
    }
  }
  return {};
}

ProcCgroup ParsePath(std::string_view path) {
  ProcCgroup cgroup;
  for (const std::string_view name : Split(path, '/')) {
    if (IsUnit(name)) {
      if (cgroup.unit.empty()) {
        cgroup.unit = name;
      } else if (cgroup.unit.starts_with("user@")) {
        cgroup.user_unit = name;
      }
    }
    std::string id = ContainerIdIn(name);
    if (!id.empty()) cgroup.container_id = std::move(id);
  }
  return cgroup;
}

}  // namespace

Result<ProcStat> ParseStat(std::string_view text) {
  // The name may hold blanks and parentheses: what follows the last one is
  // the kernel's again.
  const size_t open = text.find(" (");
  const size_t close = text.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos ||
      close < open) {
    return Unknown("stat");
  }
  const auto pid = Number<uint32_t>(text.substr(0, open));
  const auto fields = Split(text.substr(close + 2), ' ');
  constexpr size_t kParent = 1;      // Fourth field of the file.
  constexpr size_t kStartTime = 19;  // Twenty-second.
  if (!pid.has_value() || fields.size() <= kStartTime ||
      fields[0].size() != 1) {
    return Unknown("stat");
  }
  const auto parent = Number<uint32_t>(fields[kParent]);
  const auto start_time = Number<uint64_t>(fields[kStartTime]);
  if (!parent.has_value() || !start_time.has_value()) return Unknown("stat");
  return ProcStat{*pid, *parent, fields[0][0], *start_time};
}

Result<ProcUser> ParseStatus(std::string_view text) {
  const auto uids = Line(text, "Uid:");
  const auto gids = Line(text, "Gid:");
  const auto tracers = Line(text, "TracerPid:");
  if (uids.size() != 4 || gids.size() != 4 || tracers.size() != 1) {
    return Unknown("status");
  }
  const auto real = Number<uint32_t>(uids[0]);
  const auto effective = Number<uint32_t>(uids[1]);
  const auto group = Number<uint32_t>(gids[1]);
  const auto tracer = Number<uint32_t>(tracers[0]);
  if (!real.has_value() || !effective.has_value() || !group.has_value() ||
      !tracer.has_value()) {
    return Unknown("status");
  }
  return ProcUser{*real, *effective, *group, *tracer};
}

std::vector<std::string> ParseArguments(std::string_view text, size_t max) {
  std::vector<std::string> words;
  while (!text.empty() && words.size() < max) {
    const size_t end = std::min(text.find('\0'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

bool LoadsForeignCode(std::string_view environ_text) {
  for (const std::string_view entry : Split(environ_text, '\0')) {
    for (const std::string_view name : {"LD_PRELOAD=", "LD_AUDIT="}) {
      if (entry.starts_with(name) && entry.size() > name.size()) return true;
    }
  }
  return false;
}

ProcCgroup ParseCgroup(std::string_view text) {
  ProcCgroup found;
  for (const std::string_view line : Split(text, '\n')) {
    // "0::/path" is version 2, "N:name=systemd:/path" systemd's own of 1.
    const size_t first = line.find(':');
    const size_t second =
        first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers =
        line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers != "name=systemd") continue;
    ProcCgroup parsed = ParsePath(line.substr(second + 1));
    if (found.unit.empty() && found.container_id.empty()) {
      found = std::move(parsed);
    }
  }
  return found;
}

}  // namespace countersign::platform
