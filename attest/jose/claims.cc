#include "attest/jose/claims.h"

#include <optional>

#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"

namespace countersign::jose {
namespace {

constexpr int64_t kLatestTime = (int64_t{1} << 53) - 1;

tl::unexpected<Error> Refuse(std::string why) {
  return Fail(ErrorCode::kJwsClaims, std::move(why));
}

Result<int64_t> TimeOf(const JsonObject& claims, std::string_view name) {
  const auto value = claims.Integer(name);
  if (!value || *value < 0 || *value > kLatestTime) {
    return Refuse(std::string(name) + " is not a time");
  }
  return *value;
}

Result<std::string> OptionalText(const JsonObject& claims,
                                 std::string_view name) {
  if (!claims.Has(name)) return std::string();
  auto text = claims.Text(name);
  if (!text) return Refuse(std::string(name) + " is not text");
  return *std::move(text);
}

}  // namespace

Result<CheckedClaims> CheckClaims(std::string_view claims_json,
                                  const ExpectedClaims& expected) {
  const auto parsed = JsonObject::Parse(claims_json, kMaxTokenSize);
  if (!parsed) return Refuse("claims: " + parsed.error().detail);
  const JsonObject& claims = *parsed;
  if (claims.Text("iss") != expected.issuer) return Refuse("another issuer");
  if (claims.Text("aud") != expected.audience) {
    return Refuse("another audience");
  }
  CheckedClaims checked;
  CS_ASSIGN_OR_RETURN(checked.expires_at_s, TimeOf(claims, "exp"));
  CS_ASSIGN_OR_RETURN(checked.issued_at_s, TimeOf(claims, "iat"));
  const int64_t latest_now = expected.now_s + expected.leeway_s;
  if (checked.issued_at_s > latest_now) return Refuse("iat is in the future");
  const int64_t lifetime = checked.expires_at_s - checked.issued_at_s;
  if (lifetime <= 0 || lifetime > expected.max_lifetime_s) {
    return Refuse("exp is too far from iat, or before it");
  }
  if (claims.Has("nbf")) {
    CS_ASSIGN_OR_RETURN(const int64_t not_before, TimeOf(claims, "nbf"));
    if (not_before > latest_now) return Refuse("nbf is in the future");
  }
  CS_ASSIGN_OR_RETURN(checked.subject, OptionalText(claims, "sub"));
  CS_ASSIGN_OR_RETURN(checked.jti, OptionalText(claims, "jti"));
  if (checked.expires_at_s + expected.leeway_s <= expected.now_s) {
    return Fail(ErrorCode::kTokenExpired, "exp is in the past");
  }
  return checked;
}

}  // namespace countersign::jose
