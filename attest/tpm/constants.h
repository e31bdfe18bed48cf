// The numbers of TPM 2.0 that we use, by their names in Part 2 (rev 1.59).
#ifndef COUNTERSIGN_ATTEST_TPM_CONSTANTS_H_
#define COUNTERSIGN_ATTEST_TPM_CONSTANTS_H_

#include <cstddef>
#include <cstdint>

namespace countersign::tpm {

// TPM_GENERATED_VALUE (§6.2): starts every structure that a TPM attests. A
// restricted key refuses to sign foreign bytes that start with it.
inline constexpr uint32_t kGenerated = 0xff544347;

// TPM_ST (§6.9).
inline constexpr uint16_t kStAttestCertify = 0x8017;
inline constexpr uint16_t kStAttestQuote = 0x8018;

// TPM_ALG_ID (§6.3).
inline constexpr uint16_t kAlgRsa = 0x0001;
inline constexpr uint16_t kAlgSha1 = 0x0004;
inline constexpr uint16_t kAlgAes = 0x0006;
inline constexpr uint16_t kAlgSha256 = 0x000b;
inline constexpr uint16_t kAlgSha384 = 0x000c;
inline constexpr uint16_t kAlgSha512 = 0x000d;
inline constexpr uint16_t kAlgNull = 0x0010;
inline constexpr uint16_t kAlgSm3 = 0x0012;
inline constexpr uint16_t kAlgRsassa = 0x0014;
inline constexpr uint16_t kAlgRsapss = 0x0016;
inline constexpr uint16_t kAlgEcdsa = 0x0018;
inline constexpr uint16_t kAlgEcc = 0x0023;
inline constexpr uint16_t kAlgCfb = 0x0043;

// TPM_ECC_CURVE (§6.4).
inline constexpr uint16_t kCurveP256 = 0x0003;
inline constexpr uint16_t kCurveP384 = 0x0004;

// TPMA_OBJECT (§8.3).
inline constexpr uint32_t kFixedTpm = 1u << 1;
inline constexpr uint32_t kStClear = 1u << 2;
inline constexpr uint32_t kFixedParent = 1u << 4;
inline constexpr uint32_t kSensitiveDataOrigin = 1u << 5;
inline constexpr uint32_t kUserWithAuth = 1u << 6;
inline constexpr uint32_t kAdminWithPolicy = 1u << 7;
inline constexpr uint32_t kNoDa = 1u << 10;
inline constexpr uint32_t kEncryptedDuplication = 1u << 11;
inline constexpr uint32_t kRestricted = 1u << 16;
inline constexpr uint32_t kDecrypt = 1u << 17;
inline constexpr uint32_t kSign = 1u << 18;

// TPM_RH (§7.4): hierarchies.
inline constexpr uint32_t kRhOwner = 0x40000001;
inline constexpr uint32_t kRhNull = 0x40000007;
inline constexpr uint32_t kRhEndorsement = 0x4000000b;

// Bounds on what a TPM may say; all far above what any TPM sends.
inline constexpr size_t kMaxAttestSize = 1024;
inline constexpr size_t kMaxPublicSize = 1024;
inline constexpr size_t kMaxSignatureSize = 1024;
inline constexpr size_t kMaxDigestSize = 64;

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_CONSTANTS_H_
