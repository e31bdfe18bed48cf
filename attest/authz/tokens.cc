#include "attest/authz/tokens.h"

#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kEnrollmentPrefix = "cs1.";
constexpr std::string_view kAdminPrefix = "csa1.";
constexpr std::string_view kBearer = "Bearer ";
constexpr size_t kSecretSize = 32;

NewToken Mint(TokenKind kind, int64_t uses, int64_t now_ms, int64_t ttl_s,
              Bytes* secret) {
  *secret = RandomBytes(kSecretSize);
  NewToken token;
  token.row.secret_sha256 = Sha256(*secret);
  token.row.kind = kind;
  token.row.max_uses = uses;
  token.row.created_ms = now_ms;
  token.row.expires_ms = now_ms + ttl_s * 1000;
  return token;
}

Result<Sha256Digest> KeyOf(std::string_view secret_text) {
  const auto secret = FromBase64Url(secret_text);
  if (!secret || secret->size() != kSecretSize) {
    return Fail(ErrorCode::kTokenInvalid, "malformed");
  }
  return Sha256(*secret);
}

}  // namespace

NewToken MintEnrollmentToken(std::string_view service_thumbprint, int64_t uses,
                             int64_t now_ms, int64_t ttl_s) {
  Bytes secret;
  NewToken token = Mint(TokenKind::kEnroll, uses, now_ms, ttl_s, &secret);
  token.text = std::string(kEnrollmentPrefix) + ToBase64Url(secret) + "." +
               std::string(service_thumbprint);
  return token;
}

NewToken MintAdminToken(int64_t now_ms, int64_t ttl_s) {
  Bytes secret;
  NewToken token = Mint(TokenKind::kAdmin, 1, now_ms, ttl_s, &secret);
  token.text = std::string(kAdminPrefix) + ToBase64Url(secret);
  return token;
}

Result<Sha256Digest> EnrollmentTokenKey(std::string_view text,
                                        std::string_view service_thumbprint) {
  if (text.size() > kMaxTokenText || !text.starts_with(kEnrollmentPrefix)) {
    return Fail(ErrorCode::kTokenInvalid, "malformed");
  }
  text.remove_prefix(kEnrollmentPrefix.size());
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) {
    return Fail(ErrorCode::kTokenInvalid, "malformed");
  }
  if (text.substr(dot + 1) != service_thumbprint) {
    return Fail(ErrorCode::kTokenInvalid, "made for another service");
  }
  return KeyOf(text.substr(0, dot));
}

Result<Sha256Digest> AdminTokenKey(std::string_view authorization) {
  if (!authorization.starts_with(kBearer)) {
    return Fail(ErrorCode::kTokenInvalid, "a Bearer token is needed");
  }
  const std::string_view text = authorization.substr(kBearer.size());
  if (text.size() > kMaxTokenText || !text.starts_with(kAdminPrefix)) {
    return Fail(ErrorCode::kTokenInvalid, "malformed");
  }
  return KeyOf(text.substr(kAdminPrefix.size()));
}

Status CheckToken(const std::optional<TokenRow>& row, TokenKind kind,
                  int64_t now_ms) {
  if (!row || row->kind != kind || row->revoked) {
    return Fail(ErrorCode::kTokenInvalid);
  }
  if (row->expires_ms <= now_ms) return Fail(ErrorCode::kTokenExpired);
  if (kind == TokenKind::kEnroll && row->uses >= row->max_uses) {
    return Fail(ErrorCode::kTokenUsed);
  }
  return {};
}

std::string TokenId(const Sha256Digest& key) {
  return ToHex(key).substr(0, 12);
}

}  // namespace countersign::authz
