// TPM2_MakeCredential in software: wraps a secret so that only the TPM that
// holds both the EK and a key with the given Name can unwrap it.
// TPM 2.0 rev 1.59: Part 1 §24, Annexes B.10 and C.6; Part 3 §12.6.
#ifndef COUNTERSIGN_ATTEST_TPM_MAKE_CREDENTIAL_H_
#define COUNTERSIGN_ATTEST_TPM_MAKE_CREDENTIAL_H_

#include "attest/base/secret.h"
#include "attest/tpm/public_area.h"

namespace countersign::tpm {

// Both are the contents of the TPM2B, without its 16-bit size.
struct Credential {
  Bytes id_object;         // TPM2B_ID_OBJECT: integrity HMAC, encIdentity.
  Bytes encrypted_secret;  // TPM2B_ENCRYPTED_SECRET: for the EK.
};

// Wraps `secret` (at most as long as the EK's nameAlg digest) for `ek` (a
// restricted decryption key: RSA, P-256 or P-384, AES-CFB) and the object
// with `ak_name`.
//   kBadRequest  secret empty or too long, Name empty
//   kWeakKey     ek is not a storage key of a kind that we support
[[nodiscard]] Result<Credential> MakeCredential(const PublicArea& ek,
                                                ByteSpan ak_name,
                                                const Secret& secret);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_MAKE_CREDENTIAL_H_
