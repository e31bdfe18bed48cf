// The endpoints by which users sign in and out.
#include "attest/authz/api.h"
#include "attest/authz/error_info.h"
#include "attest/authz/login/login.h"
#include "attest/base/form.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/statement.h"

namespace countersign::authz {
namespace {

constexpr size_t kDeviceIdSize = 16;

// To whom an answer is addressed; nobody, if that is no device_id.
std::string Audience(const std::string& device_id) {
  return device_id.size() == kDeviceIdSize ? ToHex(AsBytes(device_id)) : "";
}

Result<std::string> Serialized(const Result<v1::LoginAnswer>& answer) {
  if (!answer) return tl::unexpected<Error>(answer.error());
  return answer->SerializeAsString();
}

}  // namespace

Response Api::PostLoginEvidence(const Request& request) {
  v1::LoginEvidence body;
  return Agent(request, jose::kKindLogin, body, [&](Answer& answer) {
    const auto login = statement::ParseStatement<v1::Login>(
        AsBytes(body.statement().body()), statement::kMaxLoginSize);
    if (login) answer.audience = Audience(login->device_id());
    answer.payload = Serialized(PostLogin(service_, findings_, body));
  });
}

Response Api::PostLoginPoll(const Request& request) {
  v1::LoginPollRequest body;
  return Agent(request, jose::kKindLogin, body, [&](Answer& answer) {
    answer.audience = Audience(body.device_id());
    answer.payload = Serialized(PollLogin(service_, body));
  });
}

// OpenID Connect Back-Channel Logout §2.5, §2.8.
Response Api::PostBackchannelLogout(const Request& request) {
  const auto refuse = [](const Error& error) {
    return ProblemResponse(
        error, HttpStatus(error.code) >= 500 ? HttpStatus(error.code) : 400);
  };
  if (!request.content_type.starts_with(kFormType)) {
    return refuse({ErrorCode::kBadRequest, "Content-Type"});
  }
  const auto form = ParseForm(request.body);
  if (!form) return refuse(form.error());
  const auto token = form->find("logout_token");
  if (token == form->end()) {
    return refuse({ErrorCode::kBadRequest, "no logout_token"});
  }
  const Status ended = PostProviderLogout(service_, token->second);
  if (!ended) return refuse(ended.error());
  return Response();
}

}  // namespace countersign::authz
