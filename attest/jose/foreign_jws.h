// Compact JWS of an identity provider: ID tokens and logout tokens. Unlike our
// own tokens (jws.h) they may come in one of several algorithms; which, the
// configuration and the key decide, never the token alone.
//
// Pure and thread-safe.
#ifndef COUNTERSIGN_ATTEST_JOSE_FOREIGN_JWS_H_
#define COUNTERSIGN_ATTEST_JOSE_FOREIGN_JWS_H_

#include <span>
#include <string>
#include <string_view>

#include "attest/jose/foreign_keys.h"

namespace countersign::jose {

inline constexpr size_t kMaxForeignTokenSize = 64 * 1024;

struct ForeignJws {
  ForeignAlgorithm algorithm;
  std::string claims_json;  // As signed: one JSON object without duplicates.
};

// Checks `compact` (hostile), in this order:
//   kTooLarge       longer than kMaxForeignTokenSize
//   kJwsMalformed   not three parts of strict base64url; header not one JSON
//                   object (json_guard.h), or kid not text
//   kJwsAlgorithm   alg is not one of `allowed`; crit, b64, jku, x5u, x5c or
//                   jwk present
//   kJwsType        typ is neither absent nor one of `types`
//   kJwsUnknownKey  no key of that kid for that algorithm
//   kBadSignature
//   kJwsMalformed   claims not one JSON object
// Says nothing of time, issuer or audience.
[[nodiscard]] Result<ForeignJws> VerifyForeignJws(
    std::string_view compact, std::span<const std::string_view> types,
    std::span<const ForeignAlgorithm> allowed, const ForeignKeySet& keys);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_FOREIGN_JWS_H_
