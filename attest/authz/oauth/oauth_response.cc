#include "attest/authz/oauth/oauth_response.h"

#include <spdlog/spdlog.h>

#include "attest/authz/json_writer.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

// RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E.
std::string Description(const Error& error) {
  std::string text(Name(error.code));
  text.append(": ").append(Message(error.code));
  // What broke inside is for the log.
  if (Public(error.code) != PublicCode::kInternal && !error.detail.empty()) {
    text.append(" (").append(Printable(error.detail)).append(")");
  }
  for (char& c : text) {
    if (c == '"' || c == '\\') c = '\'';
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text;
}

int StatusOf(std::string_view error) {
  if (error == "invalid_client") return 401;
  if (error == "temporarily_unavailable") return 503;
  return error == "server_error" ? 500 : 400;
}

}  // namespace

std::string_view OAuthError(ErrorCode code) {
  switch (code) {
    case ErrorCode::kClientUnknown:
    case ErrorCode::kAttestationInvalid:
      return "invalid_client";
    case ErrorCode::kDpopInvalid:
    case ErrorCode::kDpopReplayed:
      return "invalid_dpop_proof";
    case ErrorCode::kDpopNonceNeeded:
      return "use_dpop_nonce";
    case ErrorCode::kAudienceNotAllowed:
      return "invalid_target";
    case ErrorCode::kScopeNotOffered:
      return "invalid_scope";
    case ErrorCode::kDetailsNotOffered:
      return "invalid_authorization_details";
    case ErrorCode::kNotSupported:
      return "unsupported_grant_type";
    case ErrorCode::kNotYourGrant:
      return "unauthorized_client";
    default:
      break;
  }
  switch (Public(code)) {
    case PublicCode::kBusy:
    case PublicCode::kRateLimited:
      return "temporarily_unavailable";
    case PublicCode::kInternal:
      return "server_error";
    default:
      // RFC 8693 §2.2.2: also for a subject token that does not hold.
      return "invalid_request";
  }
}

Response OAuthErrorResponse(const Request& request, const Error& error) {
  if (Public(error.code) == PublicCode::kInternal) {
    spdlog::error("{}: {}", Name(error.code), Printable(error.detail, 1024));
  }
  const std::string_view word = OAuthError(error.code);
  JsonWriter json;
  json.BeginObject()
      .String("error", word)
      .String("error_description", Description(error))
      .EndObject();
  Response response;
  response.status = StatusOf(word);
  response.content_type = "application/json";
  response.body = std::move(json).text();
  if (response.status == 503) response.retry_after_s = 1;
  if (response.status == 401 && !request.authorization.empty()) {
    response.headers.emplace_back("WWW-Authenticate",
                                  R"(Basic realm="countersign")");
  }
  return response;
}

}  // namespace countersign::authz
