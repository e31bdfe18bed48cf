// Reading /proc/PID of a process that may end, or become another, meanwhile.
// What is read counts only if the process's handle says afterwards that it
// still lives: until then its pid is its own.
#ifndef COUNTERSIGN_PLATFORM_LINUX_PROC_ENTRY_H_
#define COUNTERSIGN_PLATFORM_LINUX_PROC_ENTRY_H_

#include <string>
#include <string_view>
#include <vector>

#include "platform/linux/proc_text.h"
#include "platform/peer_identity.h"

namespace countersign::platform {

// The start of /proc/PID/`name`, at most 256 KiB. kPeerGone when there is no
// such process, kPeerIdentityUnknown when we may not look.
[[nodiscard]] Result<std::string> ReadProc(uint32_t pid, std::string_view name);
[[nodiscard]] Result<ProcStat> ReadStat(uint32_t pid);
[[nodiscard]] Result<ProcUser> ReadUser(uint32_t pid);

// A handle to the running executable that needs no permission to read the file
// and keeps its inode number from being used again.
[[nodiscard]] Result<OwnedHandle> PinExecutable(uint32_t pid);
// Device, inode and the rest of an open file; the path is left empty.
[[nodiscard]] Result<ExecutableFile> DescribeFile(Handle file);
// The same of what the process runs now, with its path.
[[nodiscard]] Result<ExecutableFile> DescribeExecutable(uint32_t pid,
                                                        Handle pinned);

// Has `pid` a child, dead ones that it has not waited for included? True as
// well where it cannot be told within bounds: it has over 256 threads, they
// come and go all the time, or the kernel does not list children.
[[nodiscard]] Result<bool> HasChildren(uint32_t pid);

// The ancestors of `pid`, nearest first, at most `max`.
[[nodiscard]] std::vector<ParentProcess> ParentsOf(uint32_t pid, size_t max);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_LINUX_PROC_ENTRY_H_
