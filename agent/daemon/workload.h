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

// How its owner came to own a session, and whether it had a child when it was
// bound. A child that it had before may have been forked by whatever ran under
// its pid before its exec, and would act in the name of a program that never
// started it; one that it has later, it has started itself (protocol.md §10).
enum class OwnerIs : uint8_t {
  // It asked itself, or its parent handed it over, and it had no child.
  kAlone,
  // It asked itself and had children: they may not use the session.
  kAskingWithChildren,
  // Its parent handed it over when it had children already.
  kHandedOverWithChildren,
  // A relay or a descendant named it.
  kNamed,
};

struct ObservedProcess {
  platform::PeerIdentity identity;
  platform::LoginSession login;
  Sha256Digest executable_sha256{};
  // platform::PathLeadsTo(identity.executable).
  bool path_leads_to_it = true;
  OwnerIs owner_is = OwnerIs::kAlone;
  std::string origin;        // A relay's claim, or empty.
  std::string relay_origin;  // As the browser told the relay, or empty.
  std::string package;       // That installed its file, or empty.
};

// Nobody but root may write to the file: what a package manager says of its
// path is worth recording.
[[nodiscard]] bool OnlyRootMayChange(const platform::ExecutableFile& file);

// The extension that a browser names in the arguments of the relay it starts:
// Chromium's chrome-extension://ID/, or the add-on's id behind Firefox's
// manifest file. Empty: neither. A hint: any process of the user can start the
// relay with any arguments.
[[nodiscard]] std::string OriginInArguments(
    const std::vector<std::string>& arguments);

[[nodiscard]] v1::User DescribeUser(const ObservedProcess& process);

// `issuer` gives the trust domain of the SPIFFE ID, which the daemon asserts:
// spiffe://HOST/device/DEVICE_ID/user/UID/exe/NAME.
// What makes a fact less sure than the kernel's word is one more observation of
// it, graded same-user-spoofable: the weakest of a fact's observations counts.
//   of every fact    the owner is kHandedOverWithChildren or kNamed, is
//                    debugged, or was started with a preloaded library
//   of its path      it runs from memory; its file was replaced or removed; its
//                    path leads to another file, as in a container
// The origin is what the browser told the relay, same-user-spoofable, before
// what the extension says of itself, claimed. The package that installed the
// file is named by the package manager, if nobody but root could change either.
// Who may change the program's file is an observation of its path as well, and
// changes no grade.
[[nodiscard]] v1::Workload DescribeWorkload(const ObservedProcess& process,
                                            const std::string& issuer,
                                            const std::string& device_id);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_WORKLOAD_H_
