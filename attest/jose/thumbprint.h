// RFC 7638 thumbprints of P-256 keys: the name of a key everywhere (kid of
// the service's keys, jkt of a session key).
#ifndef COUNTERSIGN_ATTEST_JOSE_THUMBPRINT_H_
#define COUNTERSIGN_ATTEST_JOSE_THUMBPRINT_H_

#include <string>

#include "attest/base/bytes.h"

namespace countersign::jose {

using Coordinate = std::array<uint8_t, 32>;  // Big-endian, leading zeros kept.

// {"crv":"P-256","kty":"EC","x":…,"y":…}: the required members in the order
// and spelling that RFC 7638 §3.3 hashes, which is a JWK as well.
[[nodiscard]] std::string EcJwkJson(const Coordinate& x, const Coordinate& y);

// base64url(SHA-256(EcJwkJson)), 43 characters. Does not ask whether the
// point is on the curve; Es256PublicKey does.
[[nodiscard]] std::string EcThumbprint(const Coordinate& x,
                                       const Coordinate& y);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_THUMBPRINT_H_
