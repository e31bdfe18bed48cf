// Small facts about this machine and this process.
#ifndef COUNTERSIGN_PLATFORM_HOST_H_
#define COUNTERSIGN_PLATFORM_HOST_H_

#include <cstdint>
#include <string>

#include "attest/base/result.h"

namespace countersign::platform {

// For people; none of it identifies a machine.
struct HostDescription {
  std::string os_name;
  std::string os_version;
  std::string hostname;
};
[[nodiscard]] HostDescription DescribeHost();

[[nodiscard]] uint32_t OwnUid();
// kNotFound: there is no such account.
[[nodiscard]] Result<uint32_t> UidOfAccount(const std::string& name);

// The folder of the running program; empty when it cannot be told.
[[nodiscard]] std::string OwnProgramFolder();

// Bytes that this account may still write at `path`.
[[nodiscard]] Result<uint64_t> FreeDiskSpace(const std::string& path);

// Permission bits of the socket at `path`; kNotFound, or kUnsafePath when it
// is something else.
[[nodiscard]] Result<uint32_t> SocketMode(const std::string& path);

// As many open handles as the administrator allows this process.
void RaiseHandleLimit();

// Keeps freed memory out of the process: one heap for all threads and no
// growing thresholds. A daemon that is idle nearly always should look it.
void PreferSmallHeap();
// The same for a program that works in bursts and calls TrimHeap after each:
// within one, some free memory stays, since to fault the pages of every buffer
// in anew costs a fifth of its CPU time.
void KeepHeapUntilTrimmed();
// Gives free heap pages back to the system now.
void TrimHeap();

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_HOST_H_
