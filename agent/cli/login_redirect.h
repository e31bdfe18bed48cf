// One authorization request with PKCE, and the place where its answer comes
// back: RFC 8252, RFC 7636, RFC 9207.
#ifndef COUNTERSIGN_AGENT_CLI_LOGIN_REDIRECT_H_
#define COUNTERSIGN_AGENT_CLI_LOGIN_REDIRECT_H_

#include <map>
#include <string>
#include <string_view>

#include "countersign/v1/service.pb.h"
#include "platform/loopback_listener.h"

namespace countersign::agent {

class LoginRedirect {
 public:
  using Clock = platform::LoopbackListener::Clock;

  // Listens on a free port. `provider` and `nonce` are
  // the daemon's. kAnswerInvalid: its endpoint is no https URL (http for a
  // provider on this machine); kIoError.
  [[nodiscard]] static Result<LoginRedirect> Open(
      const v1::LoginProvider& provider, std::string_view nonce);

  [[nodiscard]] const std::string& authorization_url() const { return url_; }
  [[nodiscard]] const std::string& code_verifier() const { return verifier_; }
  [[nodiscard]] std::string redirect_uri() const;

  // Waits for the browser and shows it a page that may be closed. Requests
  // for another path or with another state are refused and waited past: they
  // are nobody's answer.
  //   kProviderRefused  the provider's error code (detail)
  //   kTimeout
  [[nodiscard]] Result<std::string> WaitForCode(Clock::time_point deadline);

 private:
  LoginRedirect(platform::LoopbackListener listener, std::string issuer);

  platform::LoopbackListener listener_;
  std::string issuer_;
  std::string path_;
  std::string state_;
  std::string verifier_;
  std::string url_;
};

// The parameters of "GET PATH?QUERY HTTP/1.1". kBadRequest: another method or
// path, a parameter twice, a bad escape.
[[nodiscard]] Result<std::map<std::string, std::string>> RedirectParameters(
    std::string_view head, std::string_view path);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_LOGIN_REDIRECT_H_
