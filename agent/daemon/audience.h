// Does a request go where its grant is for? Pure.
#ifndef COUNTERSIGN_AGENT_DAEMON_AUDIENCE_H_
#define COUNTERSIGN_AGENT_DAEMON_AUDIENCE_H_

#include <string>
#include <string_view>

#include "agent/daemon/device.h"
#include "agent/daemon/session.h"
#include "attest/base/result.h"

namespace countersign::agent {

// kForeignAudience unless `uri` lies under `audience`: the same scheme, host
// and port, and a path that continues the audience's at a '/'. A path with
// dot segments, encoded ones included, or a backslash lies under nothing:
// servers differ in what they make of it. Query and fragment do not count.
[[nodiscard]] Status CheckUnderAudience(std::string_view audience,
                                        std::string_view uri);

// Without a grant there is one place to prove possession to: the OAuth
// endpoints of the service that the device is enrolled with. A proof for any
// other server's token endpoint would let a client get tokens there that are
// bound to this key. kForeignAudience.
[[nodiscard]] Status CheckOAuthEndpoint(const Device& device,
                                        std::string_view uri);

// Checks a grant (hostile: a client hands it in) before a proof is made for
// it. Everything needed is in the grant itself and signed by the service, so
// nothing is kept for each of them.
//   what jose::VerifyJws says  not a grant of this service
//   kNotSessionOwner           it is for another session or key
//   kTokenExpired              it has expired by the service's clock
//   kForeignAudience           `uri` does not lie under its audience
[[nodiscard]] Status CheckGrant(const Device& device, const Session& session,
                                const std::string& grant,
                                const std::string& uri, int64_t service_now_s);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_AUDIENCE_H_
