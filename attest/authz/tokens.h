// Enrollment and administrator tokens: how they look and how they are kept.
//
//   enrollment  cs1.<secret>.<thumbprint of the service's key>
//   admin       csa1.<secret>
//
// The secret is 32 random bytes in base64url. The thumbprint lets an agent
// recognise the service at first contact. Only SHA-256 of the secret is kept;
// being found by it, a guess learns nothing from how long the answer takes.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_TOKENS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_TOKENS_H_

#include <string>
#include <string_view>

#include "attest/authz/store.h"

namespace countersign::authz {

inline constexpr size_t kMaxTokenText = 512;

struct NewToken {
  std::string text;  // Secret: shown once, to who asked for it.
  TokenRow row;
};
[[nodiscard]] NewToken MintEnrollmentToken(std::string_view service_thumbprint,
                                           int64_t uses, int64_t now_ms,
                                           int64_t ttl_s);
[[nodiscard]] NewToken MintAdminToken(int64_t now_ms, int64_t ttl_s);

// The key under which a token's row is found. kTokenInvalid: malformed
// (hostile text), or made for another service.
[[nodiscard]] Result<Sha256Digest> EnrollmentTokenKey(
    std::string_view text, std::string_view service_thumbprint);
// Of an Authorization header's "Bearer" token.
[[nodiscard]] Result<Sha256Digest> AdminTokenKey(
    std::string_view authorization);

// Whether `row` may be used once more: kTokenInvalid (none, of another kind,
// revoked), kTokenExpired, kTokenUsed.
[[nodiscard]] Status CheckToken(const std::optional<TokenRow>& row,
                                TokenKind kind, int64_t now_ms);

// Short and safe to show: the first 12 hex digits of the row's key.
[[nodiscard]] std::string TokenId(const Sha256Digest& key);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_TOKENS_H_
