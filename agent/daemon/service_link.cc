#include "agent/daemon/service_link.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/ipc/messages.h"
#include "attest/base/digest.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/limits.h"

namespace countersign::agent {
namespace {

constexpr uint32_t kMaxRetryAfterS = 3600;

// What the uplink says when no answer came. Its word decides nothing but which
// kind of unreachable is reported.
Error Unanswered(const v1::UplinkResponse& response) {
  Error error{ErrorCode::kServiceUnreachable, {}};
  if (response.has_error()) error = FromErrorInfo(response.error());
  switch (error.code) {
    case ErrorCode::kServiceUnreachable:
    case ErrorCode::kTimeout:
    case ErrorCode::kTlsFailed:
    case ErrorCode::kAnswerInvalid:
    case ErrorCode::kRateLimited:
    case ErrorCode::kBusy:
      return error;
    default:
      return Error{ErrorCode::kServiceUnreachable,
                   std::string(Name(error.code)) + ": " + error.detail};
  }
}

// `iat` of a JWS that was verified; 0 if it has none.
int64_t IssuedAt(std::string_view jws) {
  const size_t first = jws.find('.');
  const size_t second = jws.find('.', first + 1);
  const auto claims = FromBase64Url(jws.substr(first + 1, second - first - 1));
  if (!claims.has_value()) return 0;
  const auto json =
      nlohmann::json::parse(claims->begin(), claims->end(), nullptr, false);
  if (!json.is_object() || !json.contains("iat")) return 0;
  const auto& iat = json["iat"];
  return iat.is_number_integer() ? iat.get<int64_t>() : 0;
}

}  // namespace

ServiceResult VerifyResponse(const ServiceAddress& from, std::string_view kind,
                             const Sha256Digest& request_sha256,
                             v1::UplinkResponse response) {
  ServiceFailure failure;
  failure.retry_after_s = std::min(response.retry_after_s(), kMaxRetryAfterS);
  if (response.http_status() == 0 || response.has_error()) {
    failure.error = Unanswered(response);
    return tl::unexpected(std::move(failure));
  }
  v1::ServiceSigned answer;
  if (!answer.ParseFromString(response.body())) {
    failure.error = {ErrorCode::kAnswerInvalid,
                     "HTTP " + std::to_string(response.http_status()) +
                         " without a signed answer"};
    return tl::unexpected(std::move(failure));
  }
  response.clear_body();
  auto payload = jose::VerifyAnswer(
      *from.keys, {from.issuer, from.audience, std::string(kind)},
      request_sha256, answer);
  if (!payload.has_value()) {
    failure.error = std::move(payload).error();
    failure.refused = failure.error.code != ErrorCode::kAnswerInvalid;
    return tl::unexpected(std::move(failure));
  }
  const int64_t issued_at_s = IssuedAt(answer.jws());
  return ServiceAnswer{*std::move(payload), std::move(*answer.mutable_jws()),
                       response.tls_exporter(), issued_at_s};
}

void ServiceLink::Post(const ServiceAddress& to, std::string_view lane,
                       std::string_view path, std::string body,
                       std::string_view kind, uint32_t timeout_ms, Done done) {
  const Sha256Digest request_sha256 = Sha256(AsBytes(body));
  v1::UplinkRequest request;
  request.set_lane(std::string(lane));
  request.set_path(std::string(path));
  request.set_body(std::move(body));
  request.set_timeout_ms(timeout_ms);
  request.set_service(to.issuer);
  request.set_ca_pem(to.ca_pem);
  uplink_.Call(std::move(request), [this, to, kind = std::string(kind),
                                    request_sha256, done = std::move(done)](
                                       Result<v1::UplinkResponse> response) {
    ServiceResult result =
        response.has_value()
            ? VerifyResponse(to, kind, request_sha256, *std::move(response))
            : tl::unexpected(
                  ServiceFailure{std::move(response).error(), 0, false});
    Note(result, kind);
    done(std::move(result));
  });
}

void ServiceLink::FetchKeys(const std::string& issuer,
                            const std::string& ca_pem, uint32_t timeout_ms,
                            std::function<void(Result<std::string>)> done) {
  v1::UplinkRequest request;
  request.set_lane(std::string(kControl));
  request.set_path("/v1/jwks");
  request.set_timeout_ms(timeout_ms);
  request.set_service(issuer);
  request.set_ca_pem(ca_pem);
  uplink_.Call(std::move(request), [done = std::move(done)](
                                       Result<v1::UplinkResponse> response) {
    if (!response.has_value()) {
      done(tl::unexpected(std::move(response).error()));
    } else if (response->http_status() != 200 || response->has_error()) {
      done(tl::unexpected(Unanswered(*response)));
    } else if (response->body().size() > jose::KeySet::kMaxJsonSize) {
      done(Fail(ErrorCode::kAnswerInvalid, "/v1/jwks is too long"));
    } else {
      done(std::move(*response->mutable_body()));
    }
  });
}

void ServiceLink::Note(const ServiceResult& result, std::string_view kind) {
  if (!result.has_value()) {
    if (RefusesDevice(result.error())) {
      device_refusal_ = std::make_unique<Error>(result.error().error);
    }
  } else if (kind != jose::kKindChallenge) {
    // A challenge is given to whoever asks; the rest, to a device in service.
    device_refusal_.reset();
  }
  if (result.has_value() || result.error().refused) {
    last_answer_ms_ = clock_.NowMs();
    last_error_.reset();
    if (result.has_value() && result->issued_at_s != 0) {
      knows_service_clock_ = true;
      service_ahead_of_mono_s_ =
          result->issued_at_s - clock_.MonotonicMs() / 1000;
    }
  } else {
    last_error_ = std::make_unique<Error>(result.error().error);
  }
}

int64_t ServiceLink::ServiceNowS() const {
  return knows_service_clock_
             ? clock_.MonotonicMs() / 1000 + service_ahead_of_mono_s_
             : clock_.NowMs() / 1000;
}

bool MayHeal(const ServiceFailure& failure) {
  if (!failure.refused) return true;
  switch (Public(failure.error.code)) {
    case PublicCode::kBusy:
    case PublicCode::kRateLimited:
    case PublicCode::kInternal:
    case PublicCode::kServiceUnreachable:
      return true;
    default:
      return false;
  }
}

bool RefusesDevice(const ServiceFailure& failure) {
  if (!failure.refused) return false;
  switch (failure.error.code) {
    case ErrorCode::kDeviceUnknown:
    case ErrorCode::kDeviceRevoked:
    case ErrorCode::kAkRetired:
      return true;
    default:
      return false;
  }
}

}  // namespace countersign::agent
