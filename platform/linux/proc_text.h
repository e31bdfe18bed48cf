// Parsers for what the kernel writes about a process. A process chooses parts
// of these texts itself (its name, its cgroup below its own service manager),
// so they are hostile.
#ifndef COUNTERSIGN_PLATFORM_LINUX_PROC_TEXT_H_
#define COUNTERSIGN_PLATFORM_LINUX_PROC_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/result.h"

namespace countersign::platform {

struct ProcStat {
  uint32_t pid = 0;
  uint32_t parent = 0;  // 0: none in our pid namespace.
  char state = '?';
  uint64_t start_time = 0;  // Clock ticks since boot.
};

// /proc/PID/stat (proc(5)). kPeerIdentityUnknown when it is anything else.
[[nodiscard]] Result<ProcStat> ParseStat(std::string_view text);

struct ProcUser {
  uint32_t real_uid = 0;
  uint32_t effective_uid = 0;
  uint32_t effective_gid = 0;
  uint32_t tracer = 0;  // Pid of who debugs it, or 0.
};

// The Uid:, Gid: and TracerPid: lines of /proc/PID/status.
// kPeerIdentityUnknown.
[[nodiscard]] Result<ProcUser> ParseStatus(std::string_view text);

// True if /proc/PID/environ loads foreign code: LD_PRELOAD or LD_AUDIT.
[[nodiscard]] bool LoadsForeignCode(std::string_view environ_text);

// The first words of /proc/PID/cmdline, at most `max`.
[[nodiscard]] std::vector<std::string> ParseArguments(std::string_view text,
                                                      size_t max);

struct ProcCgroup {
  // The outermost systemd unit, which only the system's manager can name.
  std::string unit;
  // The innermost unit below user@UID.service: the user's own naming.
  std::string user_unit;
  // The innermost 64 hex digits, as container engines name a scope.
  std::string container_id;
};

// /proc/PID/cgroup, either version. Parts that are not there stay empty.
[[nodiscard]] ProcCgroup ParseCgroup(std::string_view text);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_LINUX_PROC_TEXT_H_
