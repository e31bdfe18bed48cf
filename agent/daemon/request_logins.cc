// The verbs by which a user signs in and out.
#include "agent/daemon/request_handler.h"

namespace countersign::agent {

void RequestHandler::OnLogin(const AskPtr& ask,
                             const v1::LoginRequest& request) {
  if (parts_.state.device == nullptr) {
    Refuse(ask, parts_.state.why_no_device);
    return;
  }
  const auto done = [this, ask](Result<v1::LoginResponse> result) {
    if (!result.has_value()) {
      Refuse(ask, result.error());
      return;
    }
    v1::Response response;
    *response.mutable_login() = *std::move(result);
    Answer(ask, std::move(response));
  };
  if (request.poll()) {
    parts_.logins.Poll(ask->uid, done);
    return;
  }
  if (!request.code().empty()) {
    parts_.logins.Finish(ask->uid, request, done);
    return;
  }
  const auto identity = ask->client->peer->Describe();
  if (!identity.has_value()) {
    Refuse(ask, identity.error());
    return;
  }
  parts_.logins.Begin(ask->uid, identity->pid, identity->user_name,
                      request.device_code(), done);
}

void RequestHandler::OnLogout(const AskPtr& ask) {
  // Logins are read before the device is: what they were made for.
  if (parts_.state.device == nullptr) {
    Refuse(ask, parts_.state.why_no_device);
    return;
  }
  parts_.logins.LogOut(ask->uid,
                       [this, ask](const Result<v1::LogoutResponse>& result) {
                         if (!result.has_value()) {
                           Refuse(ask, result.error());
                           return;
                         }
                         v1::Response response;
                         *response.mutable_logout() = *result;
                         Answer(ask, std::move(response));
                       });
}

}  // namespace countersign::agent
