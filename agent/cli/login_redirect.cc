#include "agent/cli/login_redirect.h"

#include <utility>

#include "attest/base/digest.h"
#include "attest/base/form.h"
#include "attest/base/text.h"
#include "attest/base/uri.h"

namespace countersign::agent {
namespace {

// Providers compare the path with the one that was registered (RFC 8252 §7.3
// lets only the port vary); what tells answers apart is the state.
constexpr char kPath[] = "/callback";

std::string Random() { return ToBase64Url(RandomBytes(32)); }

std::string Page(std::string_view status, std::string_view words) {
  const std::string body =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
      "<title>Countersign</title><p>" +
      std::string(words) + "</p></html>";
  return "HTTP/1.1 " + std::string(status) +
         "\r\nContent-Type: text/html; charset=utf-8\r\n"
         "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
         "Content-Security-Policy: default-src 'none'\r\n"
         "Connection: close\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

Status CheckEndpoint(const std::string& endpoint) {
  const auto uri = ParseUri(endpoint);
  const bool here = uri && uri->scheme == "http" && uri->authority &&
                    (uri->authority->starts_with("127.0.0.1:") ||
                     uri->authority->starts_with("localhost:"));
  if (uri && !uri->fragment && (uri->scheme == "https" || here)) return {};
  return Fail(ErrorCode::kAnswerInvalid, "no address to sign in at");
}

}  // namespace

LoginRedirect::LoginRedirect(platform::LoopbackListener listener,
                             std::string issuer)
    : listener_(std::move(listener)),
      issuer_(std::move(issuer)),
      path_(kPath),
      state_(Random()),
      verifier_(Random()) {}

Result<LoginRedirect> LoginRedirect::Open(const v1::LoginProvider& provider,
                                          std::string_view nonce) {
  CS_RETURN_IF_ERROR(CheckEndpoint(provider.authorization_endpoint()));
  CS_ASSIGN_OR_RETURN(auto listener, platform::LoopbackListener::Open());
  LoginRedirect redirect(std::move(listener), provider.issuer());
  const std::string challenge =
      ToBase64Url(Sha256(AsBytes(redirect.verifier_)));
  const std::string uri = redirect.redirect_uri();
  const std::string max_age = std::to_string(provider.max_age_s());
  std::vector<std::pair<std::string_view, std::string_view>> fields{
      {"response_type", "code"},     {"client_id", provider.client_id()},
      {"redirect_uri", uri},         {"scope", provider.scope()},
      {"state", redirect.state_},    {"nonce", nonce},
      {"code_challenge", challenge}, {"code_challenge_method", "S256"}};
  if (!provider.acr_values().empty()) {
    fields.emplace_back("acr_values", provider.acr_values());
  }
  if (provider.max_age_s() > 0) fields.emplace_back("max_age", max_age);
  const std::string& endpoint = provider.authorization_endpoint();
  redirect.url_ = endpoint +
                  (endpoint.find('?') == std::string::npos ? "?" : "&") +
                  FormBody(fields);
  return redirect;
}

std::string LoginRedirect::redirect_uri() const {
  return "http://127.0.0.1:" + std::to_string(listener_.port()) + path_;
}

Result<std::string> LoginRedirect::WaitForCode(Clock::time_point deadline) {
  while (true) {
    CS_ASSIGN_OR_RETURN(platform::LoopbackRequest request,
                        listener_.Next(deadline));
    const auto parameters = RedirectParameters(request.head(), path_);
    const auto get = [&](const char* name) {
      const auto found = parameters->find(name);
      return found == parameters->end() ? std::string() : found->second;
    };
    // A provider that names itself must be the one that was asked (RFC 9207).
    if (!parameters ||
        !ConstantTimeEqual(AsBytes(get("state")), AsBytes(state_)) ||
        (!get("iss").empty() && get("iss") != issuer_)) {
      std::move(request).Answer(
          Page("404 Not Found", "There is nothing here."));
      continue;
    }
    if (get("code").empty()) {
      std::move(request).Answer(
          Page("200 OK", "You are not signed in. You may close this page."));
      return Fail(
          ErrorCode::kProviderRefused,
          Printable(get("error").empty() ? "no code" : get("error"), 64));
    }
    std::move(request).Answer(
        Page("200 OK", "Back to the terminal: you may close this page."));
    return get("code");
  }
}

Result<std::map<std::string, std::string>> RedirectParameters(
    std::string_view head, std::string_view path) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const size_t end = line.rfind(" HTTP/1.");
  const std::string start = "GET " + std::string(path) + "?";
  if (!line.starts_with(start) || end == std::string_view::npos ||
      end < start.size()) {
    return Fail(ErrorCode::kBadRequest, "not the redirect");
  }
  return ParseForm(line.substr(start.size(), end - start.size()));
}

}  // namespace countersign::agent
