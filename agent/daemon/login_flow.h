// One login statement on its way: who asks, the service's challenge, the
// TPM's quote.
#ifndef COUNTERSIGN_AGENT_DAEMON_LOGIN_FLOW_H_
#define COUNTERSIGN_AGENT_DAEMON_LOGIN_FLOW_H_

#include <functional>
#include <string>

#include "agent/daemon/device.h"
#include "agent/daemon/logins.h"

namespace countersign::agent {

struct LoginAsk {
  std::string method;  // "code", "device" or "logout".
  uint32_t uid = 0;
  uint32_t pid = 0;  // 0: nobody's login session is looked up.
  std::string user_name;
  std::string user_session_id;  // With "logout".
};

struct QuotedLogin {
  v1::LoginEvidence evidence;
  std::string nonce;  // base64url of the statement's digest.
  v1::LoginProvider provider;
};

// `parts` outlive the call of `done`, which gets the quoted statement or what
// ServiceLink, platform::Tpm and the service say.
void QuoteLogin(const Logins::Parts& parts, DevicePtr device, LoginAsk ask,
                std::function<void(Result<QuotedLogin>)> done);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_LOGIN_FLOW_H_
