// From what the kernel and the session manager show of a process to the User
// and Workload of a SessionBinding, each fact with how it was seen and how far
// that can be relied on. Pure.
#ifndef COUNTERSIGN_AGENT_DAEMON_WORKLOAD_H_
#define COUNTERSIGN_AGENT_DAEMON_WORKLOAD_H_

#include <string>

#include "attest/base/bytes.h"
#include "countersign/v1/statements.pb.h"
#include "platform/login_session.h"
#include "platform/peer_identity.h"

namespace countersign::agent {

struct ObservedProcess {
  platform::PeerIdentity identity;
  platform::LoginSession login;
  Sha256Digest executable_sha256{};
  // Any process of the user could have arranged that this one is asked for.
  bool arranged = false;
  std::string origin;  // A relay's claim, or empty.
};

[[nodiscard]] v1::User DescribeUser(const ObservedProcess& process);

// `issuer` gives the trust domain of the SPIFFE ID, which the daemon asserts:
// spiffe://HOST/device/DEVICE_ID/user/UID/exe/NAME.
[[nodiscard]] v1::Workload DescribeWorkload(const ObservedProcess& process,
                                            const std::string& issuer,
                                            const std::string& device_id);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_WORKLOAD_H_
