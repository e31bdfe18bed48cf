// SHA-256, HMAC-SHA256 and random bytes, over OpenSSL. In a file of its own so
// that a program without cryptography (the browser's relay) links none.
#ifndef COUNTERSIGN_ATTEST_BASE_DIGEST_H_
#define COUNTERSIGN_ATTEST_BASE_DIGEST_H_

#include <initializer_list>

#include "attest/base/bytes.h"

namespace countersign {

[[nodiscard]] Sha256Digest Sha256(ByteSpan data);
// The digest of the parts one after the other. The caller makes sure that the
// concatenation is unambiguous (fixed lengths or length prefixes).
[[nodiscard]] Sha256Digest Sha256(std::initializer_list<ByteSpan> parts);

[[nodiscard]] Sha256Digest HmacSha256(ByteSpan key, ByteSpan data);

// `size` bytes from OpenSSL's CSPRNG. Aborts the process if there is no
// entropy: nothing sensible can be done without.
[[nodiscard]] Bytes RandomBytes(size_t size);

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_DIGEST_H_
