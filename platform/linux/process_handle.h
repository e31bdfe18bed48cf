// Process handles (pidfds): what they are and whose they are.
#ifndef COUNTERSIGN_PLATFORM_LINUX_PROCESS_HANDLE_H_
#define COUNTERSIGN_PLATFORM_LINUX_PROCESS_HANDLE_H_

#include <cstdint>

#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

[[nodiscard]] bool IsProcessHandle(Handle handle);

// The pid in our namespace. kPeerGone when the process has been reaped,
// kPeerIdentityUnknown when it has no pid here, kBadRequest when the handle is
// not a process.
[[nodiscard]] Result<uint32_t> PidOf(Handle process);

// True once the process has exited.
[[nodiscard]] bool HasExited(Handle process);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_LINUX_PROCESS_HANDLE_H_
