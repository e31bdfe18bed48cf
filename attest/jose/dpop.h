// DPoP proofs (RFC 9449): a session key signs one HTTP method and URI, so that
// a stolen grant is of no use without the key.
#ifndef COUNTERSIGN_ATTEST_JOSE_DPOP_H_
#define COUNTERSIGN_ATTEST_JOSE_DPOP_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "attest/jose/es256.h"

namespace countersign::jose {

inline constexpr size_t kMaxDpopSize = 4 * 1024;

struct DpopRequest {
  std::string method;        // As in the request line: "GET".
  std::string uri;           // Query and fragment are left out of the proof.
  std::string access_token;  // Empty: a proof without `ath`.
  std::string nonce;         // The server's (§8); empty: none.
};

// A proof for `request`. `jti` is unique for each proof: 16 random bytes in
// base64url. kBadRequest: method or uri is not one.
[[nodiscard]] Result<std::string> CreateDpopProof(const Es256Signer& key,
                                                  const DpopRequest& request,
                                                  int64_t now_s,
                                                  std::string_view jti);

struct ExpectedDpop {
  std::string method;
  std::string uri;           // Of the request as received; query ignored.
  std::string access_token;  // Empty: a proof without token, as for /token.
  std::string jkt;           // cnf.jkt of that token; needed with a token.
  // Empty: none was given out, or the caller judges DpopProof::nonce.
  std::string nonce;
  int64_t now_s = 0;
  int64_t max_age_s = 60;
  int64_t max_ahead_s = 30;
};

struct DpopProof {
  std::string jti;
  std::string jkt;
  int64_t issued_at_s = 0;
  std::string nonce;  // As claimed; empty: none.
};

// Checks `proof` (hostile) as RFC 9449 §4.3 asks. The caller then refuses a
// (jkt, jti) that it has seen, for as long as max_age_s + max_ahead_s.
//   as VerifyJwsUnderItsOwnKey, typ "dpop+jwt", at most kMaxDpopSize
//   kDpopInvalid  a claim absent or of the wrong type; htm is not the method;
//                 htu is not the URI (compared after RFC 3986 §6.2.2 and
//                 §6.2.3); iat outside the window; nonce; ath is not the
//                 token's hash, or there is no token; the key is not jkt
[[nodiscard]] Result<DpopProof> VerifyDpopProof(std::string_view proof,
                                                const ExpectedDpop& expected);

// base64url(SHA-256(token)), RFC 9449 §4.2.
[[nodiscard]] std::string AccessTokenHash(std::string_view token);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_DPOP_H_
