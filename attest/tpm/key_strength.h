// Refuses keys that are known to be weak, whether they come in a TPM public
// area or in a certificate.
#ifndef COUNTERSIGN_ATTEST_TPM_KEY_STRENGTH_H_
#define COUNTERSIGN_ATTEST_TPM_KEY_STRENGTH_H_

#include "attest/base/openssl_ptr.h"
#include "attest/base/result.h"

namespace countersign::tpm {

// Each is kWeakKey:
//   RSA below 2048 bits, or an exponent that is even or below 65537
//   RSA modulus with the ROCA fingerprint (CVE-2017-15361)
//   a curve other than P-256, P-384 and P-521
//   any other kind of key
// RSA above 4096 bits, or an exponent above 32 bits, is kCertLimits: checking
// its signatures would take too long.
[[nodiscard]] Status CheckKeyStrength(const EVP_PKEY* key);

// True if `modulus` is of the form that the broken Infineon library made: a
// power of 65537 modulo each of the small primes (Nemec et al., CCS 2017).
[[nodiscard]] bool HasRocaFingerprint(const BIGNUM* modulus);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_KEY_STRENGTH_H_
