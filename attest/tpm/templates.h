// The public templates (TPMT_PUBLIC bytes) of the keys that the agent makes.
// What a template fixes becomes part of the key's Name, so these bytes are a
// wire format: never change them, add new ones.
#ifndef COUNTERSIGN_ATTEST_TPM_TEMPLATES_H_
#define COUNTERSIGN_ATTEST_TPM_TEMPLATES_H_

#include "attest/base/bytes.h"
#include "attest/tpm/constants.h"

namespace countersign::tpm {

enum class KeyType : uint8_t { kEccP256, kRsa2048 };

inline constexpr uint32_t kEkAttributes =
    kFixedTpm | kFixedParent | kSensitiveDataOrigin | kAdminWithPolicy |
    kRestricted | kDecrypt;
inline constexpr uint32_t kAkAttributes = kFixedTpm | kFixedParent |
                                          kSensitiveDataOrigin | kUserWithAuth |
                                          kNoDa | kRestricted | kSign;
inline constexpr uint32_t kSessionKeyAttributes = kFixedTpm | kFixedParent |
                                                  kSensitiveDataOrigin |
                                                  kUserWithAuth | kNoDa | kSign;

// TCG EK Credential Profile 2.5, templates L-2 (ECC P-256) and L-1
// (RSA-2048): decryption only, used through PolicySecret(TPM_RH_ENDORSEMENT).
[[nodiscard]] Bytes EkTemplate(KeyType type);
// The authPolicy of both: PolicySecret(TPM_RH_ENDORSEMENT) as SHA-256.
[[nodiscard]] const Sha256Digest& EkAuthPolicy();

// Attestation Key: restricted signing child of the EK; ECDSA-SHA256 or
// RSASSA-SHA256. noDA because an unclean shutdown would otherwise count as a
// failed try; its auth value is random.
[[nodiscard]] Bytes AkTemplate(KeyType type);

// Session key: P-256, ECDSA-SHA256, unrestricted, a primary of the NULL
// hierarchy. `unique` is 32 random bytes: with the same ones the hierarchy
// makes the same key again.
[[nodiscard]] Bytes SessionKeyTemplate(const Sha256Digest& unique);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_TEMPLATES_H_
