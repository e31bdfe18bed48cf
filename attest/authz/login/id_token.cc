#include "attest/authz/login/id_token.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/jose/foreign_jws.h"
#include "attest/jose/json_object.h"

namespace countersign::authz {
namespace {

using jose::JsonObject;

constexpr int64_t kMaxTokenAgeS = 600;
constexpr int64_t kLatestTime = (int64_t{1} << 53) - 1;
constexpr size_t kMaxSub = 255;  // OpenID Connect Core §2.
constexpr size_t kMaxText = 256;
constexpr size_t kMaxGroups = 512;
constexpr std::string_view kLogoutEvent =
    "http://schemas.openid.net/event/backchannel-logout";

tl::unexpected<Error> Refuse(std::string why) {
  return Fail(ErrorCode::kJwsClaims, std::move(why));
}

Result<JsonObject> Parse(std::string_view claims_json) {
  auto claims = JsonObject::Parse(claims_json, jose::kMaxForeignTokenSize);
  if (!claims) return Refuse("claims: " + claims.error().detail);
  return claims;
}

Result<int64_t> TimeOf(const JsonObject& claims, std::string_view name) {
  const auto value = claims.Integer(name);
  if (!value || *value < 0 || *value > kLatestTime) {
    return Refuse(std::string(name) + " is not a time");
  }
  return *value;
}

// Empty if absent.
Result<std::string> OptionalText(const JsonObject& claims,
                                 std::string_view name, size_t max) {
  if (!claims.Has(name)) return std::string();
  auto text = claims.Text(name);
  if (!text) return Refuse(std::string(name) + " is not text");
  if (!CheckText(*text, max, name)) {
    return Refuse(std::string(name) + " is not 1 to " + std::to_string(max) +
                  " printable characters");
  }
  return *std::move(text);
}

std::vector<std::string> Audiences(const JsonObject& claims) {
  if (auto one = claims.Text("aud")) return {*std::move(one)};
  return claims.Texts("aud").value_or(std::vector<std::string>());
}

Status CheckIssuerAndAudience(const JsonObject& claims,
                              const OidcConfig& config) {
  if (claims.Text("iss") != config.issuer) return Refuse("another issuer");
  const auto audiences = Audiences(claims);
  if (std::ranges::find(audiences, config.client_id) == audiences.end()) {
    return Refuse("for another client");
  }
  if (audiences.size() > 1 && !claims.Has("azp")) {
    return Refuse("for several clients, without azp");
  }
  if (claims.Has("azp") && claims.Text("azp") != config.client_id) {
    return Refuse("azp is another client");
  }
  return {};
}

Status CheckTimes(const JsonObject& claims, const OidcConfig& config,
                  int64_t now_s, bool needs_exp) {
  CS_ASSIGN_OR_RETURN(const int64_t issued_s, TimeOf(claims, "iat"));
  const int64_t latest_now_s = now_s + config.clock_skew_s;
  if (issued_s > latest_now_s) return Refuse("iat is in the future");
  if (claims.Has("nbf")) {
    CS_ASSIGN_OR_RETURN(const int64_t not_before_s, TimeOf(claims, "nbf"));
    if (not_before_s > latest_now_s) return Refuse("nbf is in the future");
  }
  if (issued_s + kMaxTokenAgeS + config.clock_skew_s < now_s) {
    return Fail(ErrorCode::kTokenExpired, "it was issued too long ago");
  }
  if (!needs_exp && !claims.Has("exp")) return {};
  CS_ASSIGN_OR_RETURN(const int64_t expires_s, TimeOf(claims, "exp"));
  if (expires_s + config.clock_skew_s <= now_s) {
    return Fail(ErrorCode::kTokenExpired, "exp is in the past");
  }
  return {};
}

Status CheckNonce(const JsonObject& claims,
                  const std::optional<std::string>& nonce) {
  if (!nonce) {
    if (claims.Has("nonce")) return Refuse("a nonce that nobody gave");
    return {};
  }
  const std::string found = claims.Text("nonce").value_or("");
  if (!ConstantTimeEqual(AsBytes(found), AsBytes(*nonce))) {
    return Refuse("the nonce is of another sign-in");
  }
  return {};
}

// Core §3.1.3.6: half of the hash that goes with the algorithm: SHA-256 or,
// with EdDSA as most providers read it, SHA-512.
Status CheckAccessTokenHash(const JsonObject& claims,
                            const std::string& access_token) {
  if (!claims.Has("at_hash") || access_token.empty()) return {};
  const std::string found = claims.Text("at_hash").value_or("");
  for (const char* hash : {"SHA256", "SHA512"}) {
    std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
    size_t size = 0;
    if (EVP_Q_digest(nullptr, hash, nullptr, access_token.data(),
                     access_token.size(), digest.data(), &size) == 1 &&
        found == ToBase64Url(ByteSpan(digest).first(size / 2))) {
      return {};
    }
  }
  return Refuse("at_hash is of another access token");
}

Status CheckAuthentication(const OidcConfig& config, int64_t now_s,
                           const IdTokenClaims& claims) {
  if (claims.auth_time_s > now_s + config.clock_skew_s) {
    return Refuse("auth_time is in the future");
  }
  if (config.max_auth_age_s > 0 &&
      claims.auth_time_s + config.max_auth_age_s + config.clock_skew_s <
          now_s) {
    return Fail(ErrorCode::kUserNotVerified,
                claims.auth_time_s == 0
                    ? "the provider does not say when the user signed in"
                    : "the user signed in too long ago");
  }
  if (!config.acr_values.empty() &&
      std::ranges::find(config.acr_values, claims.acr) ==
          config.acr_values.end()) {
    return Fail(ErrorCode::kUserNotVerified,
                "acr is not one that the service asks for");
  }
  return {};
}

// Groups that cannot be shown in one line cannot be named in a rule either.
Result<std::vector<std::string>> GroupsOf(const JsonObject& claims,
                                          const std::string& name) {
  if (name.empty() || !claims.Has(name)) return std::vector<std::string>();
  auto groups = claims.Texts(name);
  if (!groups) {
    auto one = claims.Text(name);
    if (!one) return Refuse("groups are not an array of text");
    groups = std::vector<std::string>{*std::move(one)};
  }
  if (groups->size() > kMaxGroups) return Refuse("too many groups");
  std::erase_if(*groups, [](const std::string& group) {
    return !CheckText(group, kMaxText, "group").has_value();
  });
  return *std::move(groups);
}

// For people: whatever can be shown of it.
std::string DisplayName(const JsonObject& claims) {
  for (const char* name : {"preferred_username", "email", "name"}) {
    const std::string text = claims.Text(name).value_or("");
    if (!text.empty()) return Printable(text, kMaxText);
  }
  return {};
}

std::string HashOf(std::string_view issuer, std::string_view value) {
  static constexpr uint8_t kZero[] = {0};
  return ToBase64Url(
      Sha256({AsBytes(issuer), ByteSpan(kZero), AsBytes(value)}));
}

}  // namespace

std::string SubjectOfProvider(std::string_view issuer, std::string_view sub) {
  return "idp:" + HashOf(issuer, sub);
}

Result<IdTokenClaims> CheckIdToken(std::string_view claims_json,
                                   const ExpectedIdToken& expected) {
  const OidcConfig& config = expected.config;
  CS_ASSIGN_OR_RETURN(const JsonObject claims, Parse(claims_json));
  CS_RETURN_IF_ERROR(CheckIssuerAndAudience(claims, config));
  CS_RETURN_IF_ERROR(
      CheckTimes(claims, config, expected.now_s, /*needs_exp=*/true));
  CS_RETURN_IF_ERROR(CheckNonce(claims, expected.nonce));
  CS_RETURN_IF_ERROR(CheckAccessTokenHash(claims, expected.access_token));
  CS_ASSIGN_OR_RETURN(const std::string sub,
                      OptionalText(claims, "sub", kMaxSub));
  if (sub.empty()) return Refuse("no sub");
  IdTokenClaims checked;
  checked.subject = SubjectOfProvider(config.issuer, sub);
  CS_ASSIGN_OR_RETURN(const std::string sid,
                      OptionalText(claims, "sid", kMaxText));
  if (!sid.empty()) checked.provider_session = HashOf(config.issuer, sid);
  CS_ASSIGN_OR_RETURN(checked.acr, OptionalText(claims, "acr", kMaxText));
  if (claims.Has("auth_time")) {
    CS_ASSIGN_OR_RETURN(checked.auth_time_s, TimeOf(claims, "auth_time"));
  }
  CS_RETURN_IF_ERROR(CheckAuthentication(config, expected.now_s, checked));
  CS_ASSIGN_OR_RETURN(checked.groups, GroupsOf(claims, config.groups_claim));
  checked.display_name = DisplayName(claims);
  return checked;
}

Result<LogoutClaims> CheckLogoutToken(std::string_view claims_json,
                                      const OidcConfig& config, int64_t now_s) {
  CS_ASSIGN_OR_RETURN(const JsonObject claims, Parse(claims_json));
  CS_RETURN_IF_ERROR(CheckIssuerAndAudience(claims, config));
  CS_RETURN_IF_ERROR(CheckTimes(claims, config, now_s, /*needs_exp=*/false));
  if (claims.Has("nonce")) return Refuse("a logout token has no nonce");
  const auto events = claims.Object("events");
  if (!events) return Refuse("no events");
  CS_ASSIGN_OR_RETURN(const JsonObject named, Parse(*events));
  if (!named.Object(kLogoutEvent)) return Refuse("not a logout event");
  CS_ASSIGN_OR_RETURN(const std::string jti,
                      OptionalText(claims, "jti", kMaxText));
  if (jti.empty()) return Refuse("no jti");
  CS_ASSIGN_OR_RETURN(const std::string sub,
                      OptionalText(claims, "sub", kMaxSub));
  CS_ASSIGN_OR_RETURN(const std::string sid,
                      OptionalText(claims, "sid", kMaxText));
  if (sub.empty() && sid.empty()) return Refuse("neither sub nor sid");
  LogoutClaims logout;
  if (!sub.empty()) logout.subject = SubjectOfProvider(config.issuer, sub);
  if (!sid.empty()) logout.provider_session = HashOf(config.issuer, sid);
  logout.jti_sha256 = HashOf(config.issuer, jti);
  logout.remember_until_s = now_s + kMaxTokenAgeS + 2 * config.clock_skew_s;
  return logout;
}

}  // namespace countersign::authz
