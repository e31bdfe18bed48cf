// Compact JWS (RFC 7515 §3.1) with one fixed algorithm, ES256, and one fixed
// `typ` for each use (RFC 8725 §3.1, §3.11). What a token says about
// algorithms, keys or places to fetch keys from decides nothing.
//
// Claims travel as the exact JSON text that was signed; what is read from them
// is read from that text. Pure and thread-safe.
#ifndef COUNTERSIGN_ATTEST_JOSE_JWS_H_
#define COUNTERSIGN_ATTEST_JOSE_JWS_H_

#include <string>
#include <string_view>

#include "attest/jose/jwk_set.h"

namespace countersign::jose {

// The `typ` of every kind of token that Countersign makes or reads.
inline constexpr std::string_view kTypGrant = "at+jwt";  // RFC 9068
inline constexpr std::string_view kTypReceipt = "countersign-receipt+jwt";
inline constexpr std::string_view kTypAnswer = "countersign-answer+jwt";
inline constexpr std::string_view kTypDpop = "dpop+jwt";  // RFC 9449
inline constexpr std::string_view kTypClientAttestation =
    "oauth-client-attestation+jwt";
inline constexpr std::string_view kTypIntrospection =  // RFC 9701
    "token-introspection+jwt";
// draft-ietf-oauth-status-list
inline constexpr std::string_view kTypStatusList = "statuslist+jwt";

inline constexpr size_t kMaxTokenSize = 16 * 1024;

// How the header names the key: by `kid` to someone who holds a KeySet, or as
// a whole `jwk` where the token itself introduces the key (DPoP).
enum class KeyHeader { kKid, kJwk };

// Signs `claims_json`, the serialised claims, which are carried unread.
[[nodiscard]] Result<std::string> SignJws(
    const Es256Signer& key, std::string_view typ, std::string_view claims_json,
    KeyHeader key_header = KeyHeader::kKid);

struct VerifiedJws {
  std::string kid;          // Thumbprint of the key that signed.
  std::string header_json;  // As signed.
  std::string claims_json;  // As signed: one JSON object without duplicates.
};

// Checks `compact` (hostile), in this order:
//   kTooLarge       longer than `max_size`
//   kJwsMalformed   not three parts of strict base64url; header not one JSON
//                   object (json_guard.h), or a member of the wrong type
//   kJwsAlgorithm   alg is not exactly "ES256"; crit, b64, jku, x5u, x5c or
//                   jwk present
//   kJwsType        typ is not exactly `expected_typ`
//   kJwsUnknownKey  kid absent or not in `keys`
//   kBadSignature   not 64 bytes, r or s out of range, or does not verify
//   kJwsMalformed   claims not one JSON object
// Says nothing about time, issuer or audience: see claims.h.
[[nodiscard]] Result<VerifiedJws> VerifyJws(std::string_view compact,
                                            std::string_view expected_typ,
                                            const KeySet& keys,
                                            size_t max_size = kMaxTokenSize);

// As VerifyJws, for the one token that others make for us: a client's
// assertion (RFC 7523 §3). `typ` may be absent, "JWT" or
// "client-authentication+jwt", and kid absent if `keys` holds one key.
[[nodiscard]] Result<VerifiedJws> VerifyClientAssertion(
    std::string_view compact, const KeySet& keys,
    size_t max_size = kMaxTokenSize);

// As VerifyJws, except that the header must hold a public `jwk` instead of
// crit … jwk and kid, and the signature verifies under it. Proves possession
// of that key and nothing else: the caller compares `kid` with the thumbprint
// it expects.
[[nodiscard]] Result<VerifiedJws> VerifyJwsUnderItsOwnKey(
    std::string_view compact, std::string_view expected_typ,
    size_t max_size = kMaxTokenSize);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_JWS_H_
