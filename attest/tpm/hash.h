// The hashes that TPM objects use, by TPM_ALG_ID. Private to attest/tpm and
// its tests.
#ifndef COUNTERSIGN_ATTEST_TPM_HASH_H_
#define COUNTERSIGN_ATTEST_TPM_HASH_H_

#include <openssl/evp.h>

#include <initializer_list>

#include "attest/base/bytes.h"

namespace countersign::tpm {

// SHA-256 and SHA-384, as nameAlg of the keys that we know; nullptr for any
// other algorithm.
[[nodiscard]] const EVP_MD* HashFor(uint16_t algorithm);
// Length of a digest by `algorithm`; 0 if HashFor does not know it.
[[nodiscard]] size_t HashSize(uint16_t algorithm);

// Digest and HMAC of the parts one after the other. `algorithm` must be one
// that HashFor knows.
[[nodiscard]] Bytes Hash(uint16_t algorithm,
                         std::initializer_list<ByteSpan> parts);
[[nodiscard]] Bytes Hmac(uint16_t algorithm, ByteSpan key, ByteSpan data);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_HASH_H_
