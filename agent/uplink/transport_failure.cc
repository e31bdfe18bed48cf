#include "agent/uplink/transport_failure.h"

#include <curl/curl.h>
#include <string.h>

#include "attest/base/text.h"

namespace countersign::agent {
namespace {

std::string Join(std::string sentence, std::string_view detail) {
  if (detail.empty()) return sentence;
  return std::move(sentence) + ": " + Printable(detail, 300);
}

Error TlsError(const TransportFailure& failure) {
  std::string detail = Join("TLS to " + failure.host, failure.detail);
  detail += failure.chain.empty()
                ? "; no certificate was presented"
                : "; chain seen: " + std::string(failure.chain);
  return {ErrorCode::kTlsFailed, std::move(detail)};
}

Error ConnectError(const TransportFailure& failure) {
  const bool through_proxy = !failure.proxy.empty();
  std::string detail = "cannot connect to " +
                       (through_proxy ? "the configured proxy" : failure.host);
  if (failure.os_error != 0) {
    return {ErrorCode::kServiceUnreachable,
            Join(std::move(detail), strerror(failure.os_error))};
  }
  return {ErrorCode::kServiceUnreachable,
          Join(std::move(detail), failure.detail)};
}

}  // namespace

Error ErrorOf(const TransportFailure& failure) {
  if (failure.stopped) {
    return {ErrorCode::kServiceUnreachable, "the request was given up"};
  }
  if (failure.too_large) {
    return {ErrorCode::kTooLarge, "the answer of " + failure.host +
                                      " or its header is over the bound"};
  }
  if (failure.connect_status == 407) {
    return {ErrorCode::kServiceUnreachable,
            "the configured proxy asks for credentials (HTTP 407): set them "
            "in service.proxy"};
  }
  if (failure.connect_status >= 300) {
    return {ErrorCode::kServiceUnreachable,
            "the configured proxy refuses to connect to " + failure.host +
                " (HTTP " + std::to_string(failure.connect_status) + ")"};
  }
  switch (failure.curl_code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return {ErrorCode::kServiceUnreachable,
              "the name " + failure.host + " does not resolve"};
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {ErrorCode::kServiceUnreachable,
              "the name of the configured proxy does not resolve"};
    case CURLE_COULDNT_CONNECT:
      return ConnectError(failure);
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::kTimeout, Join(failure.host, failure.detail)};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
      return TlsError(failure);
    default:
      return {ErrorCode::kServiceUnreachable,
              Join("the connection to " + failure.host + " failed",
                   failure.detail.empty()
                       ? curl_easy_strerror(
                             static_cast<CURLcode>(failure.curl_code))
                       : failure.detail)};
  }
}

Error ErrorOfForeignAnswer(int status, std::string_view host,
                           std::string_view content_type,
                           std::string_view redirect) {
  const std::string seen =
      "HTTP " + std::to_string(status) + " from " + std::string(host);
  switch (status) {
    case 429:
      return {ErrorCode::kRateLimited, seen};
    case 503:
      return {ErrorCode::kBusy, seen};
    case 500:
    case 502:
    case 504:
      return {ErrorCode::kServiceUnreachable,
              seen + ": the service behind it does not answer"};
    default:
      break;
  }
  if (content_type.starts_with("application/problem+json")) {
    return {ErrorCode::kAnswerInvalid, seen + ", a refusal without signature"};
  }
  if (!redirect.empty()) {
    return {ErrorCode::kAnswerInvalid,
            seen + " redirects to " + Printable(redirect, 120) +
                ": a captive portal, or not the service's URL"};
  }
  return {ErrorCode::kAnswerInvalid,
          seen + " with content type '" + Printable(content_type, 80) +
              "': a captive portal or a proxy answers instead of the service"};
}

}  // namespace countersign::agent
