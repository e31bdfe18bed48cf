// TPMT_SIGNATURE: reading one and checking it.
#ifndef COUNTERSIGN_ATTEST_TPM_SIGNATURE_H_
#define COUNTERSIGN_ATTEST_TPM_SIGNATURE_H_

#include "attest/base/bytes.h"
#include "attest/tpm/public_area.h"

namespace countersign::tpm {

// TPMT_SIGNATURE (Part 2 §11.3.4) by ECDSA or RSASSA.
struct Signature {
  uint16_t algorithm = 0;  // kAlgEcdsa or kAlgRsassa.
  uint16_t hash = 0;
  Bytes r;    // ECDSA: big-endian, as sent.
  Bytes s;    // ECDSA.
  Bytes rsa;  // RSASSA.
};

// Reads `tpmt_signature`, hostile, at most kMaxSignatureSize bytes. Every
// failure (another algorithm, truncated, bytes left over) is kBadSignature.
[[nodiscard]] Result<Signature> ParseSignature(ByteSpan tpmt_signature);

// Checks that `key` signed `message`. Pure; may run on many threads. In this
// order, each kBadSignature:
//   the key's own scheme is ECDSA-SHA256 or RSASSA-SHA256
//   the signature is well formed and of exactly that scheme and hash
//   it verifies: r and s in 1..n-1; PKCS #1 v1.5 padding exact
// High s is accepted, since TPMs make it. (r, n-s) verifies too: never use
// signature bytes as an identifier or replay key.
[[nodiscard]] Status VerifySignature(const PublicArea& key, ByteSpan message,
                                     ByteSpan tpmt_signature);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_SIGNATURE_H_
