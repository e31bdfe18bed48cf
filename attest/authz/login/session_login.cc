#include "attest/authz/login/session_login.h"

#include "attest/authz/login/end_login.h"

namespace countersign::authz {

Result<std::optional<LoginRow>> CheckLogin(const Service& service,
                                           StoreView& view,
                                           const v1::SessionBinding& binding) {
  const v1::User& user = binding.user();
  if (user.user_session_id().empty()) {
    if (service.config.login.verification == UserVerification::kOidc) {
      return Fail(ErrorCode::kUserNotVerified,
                  "the service asks for a sign-in at the identity provider");
    }
    if (user.verification().starts_with("oidc")) {
      return Fail(ErrorCode::kUserNotVerified, "a sign-in that is not named");
    }
    return std::optional<LoginRow>();
  }
  CS_ASSIGN_OR_RETURN(auto login, LoginOf(view, binding));
  if (!login) return Fail(ErrorCode::kLoginEnded, "unknown user_session_id");
  if (!Equal(login->device_id, AsBytes(binding.device_id())) ||
      login->os_id != user.os_id()) {
    return Fail(ErrorCode::kLoginEnded,
                "the sign-in of another device or user");
  }
  if (login->ended()) return Fail(ErrorCode::kLoginEnded, login->end_reason);
  if (login->expires_ms <= service.clock.NowMs()) {
    return Fail(ErrorCode::kLoginEnded, "expired");
  }
  return login;
}

}  // namespace countersign::authz
