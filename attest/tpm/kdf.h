// The TPM's two key derivation functions (Part 1 §11.4.10). Labels are given
// without their terminating zero, which both functions add.
#ifndef COUNTERSIGN_ATTEST_TPM_KDF_H_
#define COUNTERSIGN_ATTEST_TPM_KDF_H_

#include "attest/base/secret.h"

namespace countersign::tpm {

// KDFa: SP 800-108 in counter mode over HMAC. `size` bytes; the context is
// both parties' contexts, one after the other.
[[nodiscard]] Secret KdfA(uint16_t hash, ByteSpan key, std::string_view label,
                          ByteSpan context, size_t size);

// KDFe: SP 800-56A over the x coordinates of both parties, each padded to the
// field size like `z`. One digest long.
[[nodiscard]] Secret KdfE(uint16_t hash, ByteSpan z, std::string_view label,
                          ByteSpan party_u_x, ByteSpan party_v_x);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_KDF_H_
