// An action that is asked, and asked again once its user has approved it.
#ifndef COUNTERSIGN_AGENT_CLI_APPROVAL_WAIT_H_
#define COUNTERSIGN_AGENT_CLI_APPROVAL_WAIT_H_

#include <chrono>

#include "agent/cli/context.h"

namespace countersign::agent {

// The answer to `request`, an AuthorizeRequest. If that is approval_required
// with a grade that can be given here, waits up to `wait` for the user's word
// and asks again; the last answer if none comes. Sleeps until the daemon tells
// of something.
//   kApprovalRefused   the user said no
//   kSessionEnded      while it waited
[[nodiscard]] Result<v1::AuthorizeResponse> AuthorizeOnceApproved(
    const Context& context, const v1::Request& request,
    std::chrono::seconds wait);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_APPROVAL_WAIT_H_
