// The process at the other end of a socket, both ways that kernels offer.
#ifndef COUNTERSIGN_PLATFORM_LINUX_PEER_PROCESS_H_
#define COUNTERSIGN_PLATFORM_LINUX_PEER_PROCESS_H_

#include "platform/local_socket.h"

namespace countersign::platform {

enum class PeerLookup {
  kByHandle,  // SO_PEERPIDFD where the kernel has it (6.5), else as below.
  kByPid,     // pidfd_open on the pid that connected.
};

// kPeerIdentityUnknown, kPeerGone.
[[nodiscard]] Result<OwnedHandle> OpenPeerProcess(
    const LocalConnection& connection, PeerLookup lookup);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_LINUX_PEER_PROCESS_H_
