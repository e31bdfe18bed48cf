#include "attest/authz/login/provider.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "attest/authz/files.h"
#include "attest/base/form.h"
#include "attest/base/text.h"
#include "attest/jose/foreign_jws.h"
#include "attest/jose/json_object.h"

namespace countersign::authz {
namespace {

using jose::JsonObject;

constexpr int64_t kDefaultFreshMs = 3'600'000;
constexpr int64_t kMinFreshMs = 60'000;
constexpr int64_t kMaxFreshMs = 24 * 3'600'000;
constexpr size_t kMaxSecretFile = 4096;
constexpr size_t kMaxAnswer = 256 * 1024;
constexpr int64_t kDefaultInterval = 5;
constexpr int64_t kMaxInterval = 60;
constexpr int64_t kMaxDeviceCodeS = 1800;
constexpr std::string_view kDeviceGrant =
    "urn:ietf:params:oauth:grant-type:device_code";
constexpr std::array<std::string_view, 1> kIdTokenTypes{"JWT"};
constexpr std::array<std::string_view, 2> kLogoutTypes{"logout+jwt", "JWT"};

// For how long the sender says that it holds, within our own bounds.
int64_t FreshForMs(std::string_view cache_control) {
  const size_t at = cache_control.find("max-age=");
  if (at == std::string_view::npos) return kDefaultFreshMs;
  const std::string_view digits = cache_control.substr(at + 8);
  int64_t seconds = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error != std::errc()) return kDefaultFreshMs;
  return std::clamp(std::min(seconds, kMaxFreshMs) * 1000, kMinFreshMs,
                    kMaxFreshMs);
}

tl::unexpected<Error> Invalid(std::string what) {
  return Fail(ErrorCode::kProviderInvalid, std::move(what));
}

Status ExpectOk(const HttpReply& reply, std::string_view what) {
  if (reply.status == 200) return {};
  // It has an answer, though not this one now: as good as away.
  return Fail(ErrorCode::kUpstreamUnreachable,
              std::string(what) + ": HTTP " + std::to_string(reply.status));
}

Result<JsonObject> ParseAnswer(const std::string& body, std::string_view what) {
  auto json = JsonObject::Parse(body, kMaxAnswer);
  if (!json) return Invalid(std::string(what) + ": " + json.error().detail);
  return json;
}

// The OAuth error code of a refusal (RFC 6749 §5.2), made printable.
Result<std::string> ErrorOf(const HttpReply& reply) {
  if (reply.status >= 500) {
    CS_RETURN_IF_ERROR(ExpectOk(reply, "its token endpoint"));
  }
  CS_ASSIGN_OR_RETURN(const JsonObject json,
                      ParseAnswer(reply.body, "its token endpoint"));
  return Printable(json.Text("error").value_or("no error code"), 64);
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

Result<Secret> ReadSecret(const OidcConfig& config) {
  if (config.client_secret_file.empty()) return Secret();
  CS_ASSIGN_OR_RETURN(
      std::string secret,
      ReadTrustedFile(config.client_secret_file, kMaxSecretFile));
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) {
    return Fail(ErrorCode::kConfigInvalid,
                config.client_secret_file + " is empty");
  }
  return Secret(ToBytes(AsBytes(secret)));
}

}  // namespace

// One of the few calls that may wait for the provider at once.
class Provider::Turn {
 public:
  explicit Turn(std::atomic<int>& under_way)
      : under_way_(under_way), mine_(++under_way <= kMaxAtOnce) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { --under_way_; }
  [[nodiscard]] Status Check() const {
    if (mine_) return {};
    return Fail(ErrorCode::kBusy, "the identity provider is slow");
  }

 private:
  std::atomic<int>& under_way_;
  const bool mine_;
};

Provider::Provider(const OidcConfig& config, const Clock& clock,
                   std::unique_ptr<HttpClient> http, Secret secret)
    : config_(config),
      clock_(clock),
      http_(std::move(http)),
      secret_(std::move(secret)),
      metadata_([this] { return FetchMetadata(); }, clock,
                config.keys_refetch_s * 1000),
      keys_([this] { return FetchKeys(); }, clock,
            config.keys_refetch_s * 1000) {}

Result<std::unique_ptr<Provider>> Provider::Create(const OidcConfig& config,
                                                   const Clock& clock) {
  CS_ASSIGN_OR_RETURN(Secret secret, ReadSecret(config));
  CS_ASSIGN_OR_RETURN(
      auto http, HttpClient::Create(
                     {.ca_file = config.ca_file, .max_answer = kMaxAnswer}));
  return std::unique_ptr<Provider>(
      new Provider(config, clock, std::move(http), std::move(secret)));
}

Result<Provider::Metadata::Fetched> Provider::FetchMetadata() {
  CS_ASSIGN_OR_RETURN(const HttpReply reply,
                      http_->Send({.url = DiscoveryUrl(config_.issuer)}));
  CS_RETURN_IF_ERROR(ExpectOk(reply, "its metadata"));
  CS_ASSIGN_OR_RETURN(ProviderMetadata metadata,
                      ParseProviderMetadata(reply.body, config_.issuer));
  return Metadata::Fetched{
      std::make_shared<const ProviderMetadata>(std::move(metadata)),
      FreshForMs(reply.cache_control)};
}

Result<Provider::Keys::Fetched> Provider::FetchKeys() {
  CS_ASSIGN_OR_RETURN(const auto metadata, metadata_.Get());
  CS_ASSIGN_OR_RETURN(const HttpReply reply,
                      http_->Send({.url = metadata->jwks_uri}));
  CS_RETURN_IF_ERROR(ExpectOk(reply, "its keys"));
  auto keys = jose::ForeignKeySet::FromJson(reply.body);
  if (!keys) return Invalid("its keys: " + keys.error().detail);
  return Keys::Fetched{
      std::make_shared<const jose::ForeignKeySet>(*std::move(keys)),
      FreshForMs(reply.cache_control)};
}

Result<std::string> Provider::Verify(std::string_view token,
                                     std::span<const std::string_view> types) {
  CS_ASSIGN_OR_RETURN(auto keys, keys_.Get());
  auto verified =
      jose::VerifyForeignJws(token, types, config_.algorithms, *keys);
  if (!verified && verified.error().code == ErrorCode::kJwsUnknownKey) {
    CS_ASSIGN_OR_RETURN(keys, keys_.GetNewer(keys));
    verified = jose::VerifyForeignJws(token, types, config_.algorithms, *keys);
  }
  if (!verified) return tl::unexpected<Error>(verified.error());
  return std::move(verified->claims_json);
}

Result<HttpReply> Provider::PostForm(const std::string& url, std::string form) {
  HttpCall call{.url = url, .content_type = std::string(kFormType)};
  if (secret_.empty()) {
    form += "&client_id=" + FormEncode(config_.client_id);
  } else {
    // RFC 6749 §2.3.1: each is form-encoded first.
    call.headers.push_back(
        "Authorization: Basic " +
        ToBase64(AsBytes(FormEncode(config_.client_id) + ":" +
                         FormEncode(AsString(secret_.Expose())))));
  }
  call.body = std::move(form);
  return http_->Send(call);
}

Result<SignedIn> Provider::SignedInFrom(
    const std::string& body, const std::optional<std::string>& nonce) {
  CS_ASSIGN_OR_RETURN(const JsonObject answer,
                      ParseAnswer(body, "its token endpoint"));
  const auto id_token = answer.Text("id_token");
  if (!id_token) return Invalid("its token endpoint gave no ID token");
  CS_ASSIGN_OR_RETURN(std::string claims_json,
                      Verify(*id_token, kIdTokenTypes));
  SignedIn signed_in;
  CS_ASSIGN_OR_RETURN(
      signed_in.claims,
      CheckIdToken(claims_json,
                   {.config = config_,
                    .now_s = clock_.NowMs() / 1000,
                    .nonce = nonce,
                    .access_token = answer.Text("access_token").value_or("")}));
  signed_in.claims_json = std::move(claims_json);
  return signed_in;
}

Result<v1::LoginProvider> Provider::Facts() {
  const Turn turn(under_way_);
  CS_RETURN_IF_ERROR(turn.Check());
  CS_ASSIGN_OR_RETURN(const auto metadata, metadata_.Get());
  v1::LoginProvider facts;
  facts.set_issuer(config_.issuer);
  facts.set_authorization_endpoint(metadata->authorization_endpoint);
  facts.set_client_id(config_.client_id);
  facts.set_scope(Joined(config_.scopes));
  facts.set_acr_values(Joined(config_.acr_values));
  facts.set_max_age_s(config_.max_auth_age_s);
  return facts;
}

Result<SignedIn> Provider::Redeem(const Code& code, const std::string& nonce) {
  const Turn turn(under_way_);
  CS_RETURN_IF_ERROR(turn.Check());
  CS_ASSIGN_OR_RETURN(const auto metadata, metadata_.Get());
  CS_ASSIGN_OR_RETURN(const HttpReply reply,
                      PostForm(metadata->token_endpoint,
                               FormBody({{"grant_type", "authorization_code"},
                                         {"code", code.code},
                                         {"redirect_uri", code.redirect_uri},
                                         {"code_verifier", code.verifier}})));
  if (reply.status != 200) {
    CS_ASSIGN_OR_RETURN(std::string error, ErrorOf(reply));
    return Fail(ErrorCode::kProviderRefused, std::move(error));
  }
  return SignedInFrom(reply.body, nonce);
}

Result<DeviceAuthorization> Provider::StartDevice() {
  const Turn turn(under_way_);
  CS_RETURN_IF_ERROR(turn.Check());
  CS_ASSIGN_OR_RETURN(const auto metadata, metadata_.Get());
  if (metadata->device_authorization_endpoint.empty()) {
    return Fail(ErrorCode::kNotSupported,
                "the identity provider has no device flow");
  }
  CS_ASSIGN_OR_RETURN(const HttpReply reply,
                      PostForm(metadata->device_authorization_endpoint,
                               FormBody({{"scope", Joined(config_.scopes)}})));
  if (reply.status != 200) {
    CS_ASSIGN_OR_RETURN(std::string error, ErrorOf(reply));
    return Fail(ErrorCode::kProviderRefused, std::move(error));
  }
  CS_ASSIGN_OR_RETURN(const JsonObject answer,
                      ParseAnswer(reply.body, "its device endpoint"));
  DeviceAuthorization started;
  started.device_code = answer.Text("device_code").value_or("");
  const std::string uri = answer.Text("verification_uri").value_or("");
  const std::string whole =
      answer.Text("verification_uri_complete").value_or("");
  const std::string user_code = answer.Text("user_code").value_or("");
  const int64_t expires_s = answer.Integer("expires_in").value_or(0);
  if (started.device_code.empty() || !IsServerUrl(uri) ||
      (!whole.empty() && !IsServerUrl(whole)) || expires_s <= 0 ||
      !CheckText(user_code, 64, "user_code")) {
    return Invalid("its device endpoint's answer");
  }
  started.prompt.set_user_code(user_code);
  started.prompt.set_verification_uri(uri);
  started.prompt.set_verification_uri_complete(whole);
  started.prompt.set_interval_s(static_cast<uint32_t>(
      std::clamp(answer.Integer("interval").value_or(kDefaultInterval),
                 int64_t{1}, kMaxInterval)));
  started.prompt.set_expires_s(
      static_cast<uint32_t>(std::min(expires_s, kMaxDeviceCodeS)));
  return started;
}

Result<std::optional<SignedIn>> Provider::PollDevice(
    const std::string& device_code, bool* slow_down) {
  const Turn turn(under_way_);
  CS_RETURN_IF_ERROR(turn.Check());
  CS_ASSIGN_OR_RETURN(const auto metadata, metadata_.Get());
  CS_ASSIGN_OR_RETURN(const HttpReply reply,
                      PostForm(metadata->token_endpoint,
                               FormBody({{"grant_type", kDeviceGrant},
                                         {"device_code", device_code}})));
  if (reply.status == 200) {
    CS_ASSIGN_OR_RETURN(SignedIn signed_in,
                        SignedInFrom(reply.body, std::nullopt));
    return std::optional(std::move(signed_in));
  }
  CS_ASSIGN_OR_RETURN(std::string error, ErrorOf(reply));
  *slow_down = error == "slow_down";
  if (*slow_down || error == "authorization_pending") {
    return std::optional<SignedIn>();
  }
  return Fail(ErrorCode::kProviderRefused, std::move(error));
}

Result<LogoutClaims> Provider::CheckLogout(std::string_view token) {
  const Turn turn(under_way_);
  CS_RETURN_IF_ERROR(turn.Check());
  CS_ASSIGN_OR_RETURN(const std::string claims_json,
                      Verify(token, kLogoutTypes));
  return CheckLogoutToken(claims_json, config_, clock_.NowMs() / 1000);
}

}  // namespace countersign::authz
