#include "attest/authz/api.h"

#include <spdlog/spdlog.h>

#include "attest/authz/error_info.h"
#include "attest/authz/oauth/routes.h"
#include "attest/authz/tokens.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/jose/foreign_jws.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/limits.h"

namespace countersign::authz {
namespace {

// What the server refuses before there is a request.
Error ErrorOfStatus(int status) {
  switch (status) {
    case 404:
      return {ErrorCode::kNotFound, {}};
    case 405:
      return {ErrorCode::kNotSupported, "method"};
    case 408:
      return {ErrorCode::kTimeout, "the request did not arrive in time"};
    case 413:
      return {ErrorCode::kTooLarge, "body"};
    case 415:
      return {ErrorCode::kNotSupported, "Content-Encoding"};
    case 431:
      return {ErrorCode::kTooLarge, "header"};
    case 500:
      return {ErrorCode::kInternal, {}};
    case 503:
      return {ErrorCode::kBusy, {}};
    default:
      return {ErrorCode::kBadRequest, "not an HTTP/1.1 request"};
  }
}

// An error of ours names its cause to the operator, and not to callers.
Error ForCaller(const Error& error) {
  if (Public(error.code) != PublicCode::kInternal) return error;
  spdlog::error("{}: {}", Name(error.code), Printable(error.detail, 1024));
  return {error.code, {}};
}

}  // namespace

Api::Api(const Service& service, EkAdmission admission)
    : service_(service),
      findings_(service.store, service.ledger, service.clock),
      enroller_(service_, findings_),
      authorizer_(service_, findings_),
      requests_(service.config.limits.requests_per_s, 1000),
      enrollments_(service.config.limits.enrollments_per_min, 60'000),
      status_lists_(service_),
      router_(Routes()),
      admission_(std::make_shared<const EkAdmission>(std::move(admission))) {}

std::vector<Route> Api::Routes() {
  using enum Authentication;
  using statement::kMaxBatchSize;
  using statement::kMaxEnrollmentBodySize;
  using statement::kMaxSessionEvidenceSize;
  using statement::kMaxSmallBodySize;
  // The JSON mapping spends 4 characters on 3 bytes, and names.
  const auto json = [](size_t size) { return size + size / 2 + 4096; };
  using View = std::string_view;
  std::vector<Route> routes{
      {"POST", "/v1/enrollments", kEvidence, json(kMaxEnrollmentBodySize),
       [this](const Request& request, View) {
         return PostEnrollment(request);
       }},
      {"POST", "/v1/enrollments/{id}/activation", kEvidence,
       json(kMaxEnrollmentBodySize),
       [this](const Request& request, View id) {
         return PostActivation(request, id);
       }},
      {"POST", "/v1/challenges", kEvidence, json(kMaxSmallBodySize),
       [this](const Request& request, View) { return PostChallenge(request); }},
      {"POST", "/v1/sessions", kEvidence, json(kMaxSessionEvidenceSize),
       [this](const Request& request, View) { return PostSession(request); }},
      {"POST", "/v1/logins", kEvidence, json(kMaxEnrollmentBodySize),
       [this](const Request& request, View) {
         return PostLoginEvidence(request);
       }},
      {"POST", "/v1/logins/poll", kEvidence, json(kMaxSmallBodySize),
       [this](const Request& request, View) { return PostLoginPoll(request); }},
      {"POST", "/v1/oidc/backchannel-logout", kEvidence,
       2 * jose::kMaxForeignTokenSize,
       [this](const Request& request, View) {
         return PostBackchannelLogout(request);
       }},
      {"POST", "/v1/actions", kEvidence, json(kMaxBatchSize),
       [this](const Request& request, View) { return PostActions(request); }},
      {"POST", "/v1/events", kEvents, json(kMaxSmallBodySize),
       [this](const Request& request, View) { return PostEvents(request); }},
      {"POST", "/v1/receipts/verify", kReceipt, json(kMaxSmallBodySize),
       [this](const Request& request, View) { return PostReceipt(request); }},
      {"GET", "/v1/devices", kAdmin, 0,
       [this](const Request& request, View) { return GetDevices(request); }},
      {"GET", "/v1/devices/{id}", kAdmin, 0,
       [this](const Request&, View id) { return GetDevice(id); }},
      {"POST", "/v1/devices/{id}/revoke", kAdmin, kMaxSmallBodySize,
       [this](const Request& request, View id) {
         return PostRevoke(request, id);
       }},
      {"GET", "/v1/jwks", kPublic, 0,
       [this](const Request&, View) { return GetKeys(); }},
      {"GET", "/.well-known/jwks.json", kPublic, 0,
       [this](const Request&, View) { return GetKeys(); }},
      {"GET", "/v1/log/checkpoint", kPublic, 0,
       [this](const Request&, View) { return GetCheckpoint(); }},
      {"GET", "/v1/log/tile/{rest}", kPublic, 0,
       [this](const Request&, View rest) { return GetTile(rest); }},
      {"GET", "/healthz", kPublic, 0,
       [this](const Request&, View) { return GetHealth(); }},
  };
  for (Route& route : OAuthRoutes(service_, status_lists_)) {
    routes.push_back(std::move(route));
  }
  return routes;
}

size_t Api::MaxBody(std::string_view method, std::string_view path) const {
  const Router::Found found = router_.Find(method, path);
  return found.route == nullptr ? 0 : found.route->max_body;
}

Response Api::Handle(const Request& request) {
  const int64_t begun_ms = service_.clock.MonotonicMs();
  Response response;
  try {
    response = Dispatch(request);
  } catch (const std::exception& error) {
    response = ProblemResponse(ForCaller({ErrorCode::kInternal, error.what()}));
  }
  if (response.wait) return response;
  spdlog::info("{} {} {} {} {} ms", Printable(request.remote_address, 64),
               Printable(request.method, 16), Printable(request.path, 128),
               response.status, service_.clock.MonotonicMs() - begun_ms);
  return response;
}

Response Api::Refusal(int status) const {
  return ProblemResponse(ErrorOfStatus(status), status);
}

Response Api::Dispatch(const Request& request) {
  if (const int wait_s =
          requests_.Take(request.remote_address, service_.clock.MonotonicMs());
      wait_s > 0) {
    Response response = ProblemResponse({ErrorCode::kRateLimited, {}});
    response.retry_after_s = wait_s;
    return response;
  }
  const Router::Found found = router_.Find(request.method, request.path);
  if (found.route == nullptr) {
    Response response = Refusal(found.status);
    response.allow = found.allow;
    return response;
  }
  // Secrets in URLs end up in logs: nothing that is posted takes a query.
  if (found.route->method != "GET" && !request.query.empty()) {
    return ProblemResponse({ErrorCode::kBadRequest, "no query is taken here"});
  }
  if (const Status known = Authenticate(*found.route, request); !known) {
    return ProblemResponse(ForCaller(known.error()));
  }
  return found.route->handler(request, found.parameter);
}

Status Api::Authenticate(const Route& route, const Request& request) {
  if (route.authentication != Authentication::kAdmin) return {};
  const auto key = AdminTokenKey(request.authorization);
  if (!key) return Fail(ErrorCode::kUnauthorized, key.error().detail);
  return service_.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto token, view.FindToken(*key));
    const Status good =
        CheckToken(token, TokenKind::kAdmin, service_.clock.NowMs());
    if (!good) {
      return Fail(ErrorCode::kUnauthorized,
                  std::string(Name(good.error().code)));
    }
    return {};
  });
}

Response Api::SignedResponse(const Request& request, Format format,
                             Answer answer) {
  Response response;
  if (answer.wait) {
    response.wait = std::move(answer.wait);
    return response;
  }
  if (!answer.payload) {
    const Error error = ForCaller(answer.payload.error());
    answer.status = HttpStatus(error.code);
    if (format == Format::kJson) {
      response = ProblemResponse(error);
      response.retry_after_s = answer.retry_after_s;
      return response;
    }
    v1::ErrorInfo info = ErrorInfoOf(error);
    info.set_retry_after_s(static_cast<uint32_t>(answer.retry_after_s));
    answer.kind = jose::kKindError;
    answer.payload = info.SerializeAsString();
  }
  auto signed_answer = jose::SignAnswer(
      service_.key,
      {service_.config.issuer, answer.audience, std::string(answer.kind)},
      AsBytes(request.body), *std::move(answer.payload),
      service_.clock.NowMs() / 1000);
  if (!signed_answer) return ProblemResponse(ForCaller(signed_answer.error()));
  response = MessageResponse(*signed_answer, format, answer.status);
  response.retry_after_s = answer.retry_after_s;
  return response;
}

Response Api::Agent(const Request& request, std::string_view kind,
                    google::protobuf::Message& message,
                    const std::function<void(Answer&)>& work) {
  const Result<Format> format = FormatOf(request);
  if (!format) return ProblemResponse(format.error(), 415);
  Answer answer{.kind = kind, .audience = {}, .payload = {}};
  if (const Status parsed = ParseBody(request.body, *format, message);
      !parsed) {
    answer.payload = tl::unexpected<Error>(parsed.error());
  } else {
    work(answer);
  }
  return SignedResponse(request, *format, std::move(answer));
}

void Api::ReplaceAdmission(EkAdmission admission) {
  auto replacement = std::make_shared<const EkAdmission>(std::move(admission));
  const std::lock_guard lock(admission_mutex_);
  admission_ = std::move(replacement);
}

std::shared_ptr<const EkAdmission> Api::admission() const {
  const std::lock_guard lock(admission_mutex_);
  return admission_;
}

}  // namespace countersign::authz
