// Judges the keys that a device enrolls with, from their public areas alone.
// That the AK lies in the TPM of the EK is for credential activation to show;
// that the EK is a TPM's, for its certificate or the service's policy.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_AK_VERIFIER_H_
#define COUNTERSIGN_ATTEST_VERIFIER_AK_VERIFIER_H_

#include "attest/tpm/public_area.h"

namespace countersign::verifier {

// Checks that `ek` is a storage key that stays in its TPM:
//   kWeakKey       weak RSA, other curve (tpm::CheckKeyStrength)
//   kEkNotTrusted  attributes: restricted, decrypt, fixedTPM, fixedParent and
//                  sensitiveDataOrigin set, sign clear; AES-CFB
[[nodiscard]] Status CheckEk(const tpm::PublicArea& ek);

// Checks that `ak` can attest and do nothing else:
//   kWeakKey       weak RSA, a curve other than P-256
//   kAkAttributes  sign, restricted, fixedTPM, fixedParent and
//                  sensitiveDataOrigin set, decrypt clear; nameAlg SHA-256;
//                  scheme ECDSA or RSASSA with SHA-256
[[nodiscard]] Status CheckAk(const tpm::PublicArea& ak);

// The Qualified Signer that a quote by `ak` must name, if it is a child of
// `ek` and that is a primary of the endorsement hierarchy:
// nameAlg ‖ H(QN(EK) ‖ Name(AK)), QN(EK) = nameAlg ‖ H(4000000B ‖ Name(EK)).
[[nodiscard]] Result<Bytes> ExpectedQualifiedSigner(const tpm::PublicArea& ek,
                                                    const tpm::PublicArea& ak);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_AK_VERIFIER_H_
