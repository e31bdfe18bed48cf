#include "attest/verifier/ak_verifier.h"

#include "attest/tpm/key_strength.h"

namespace countersign::verifier {
namespace {

using tpm::PublicArea;

// What every key that stays in its TPM has (Part 1 §25.2).
constexpr uint32_t kStaysInTpm =
    tpm::kFixedTpm | tpm::kFixedParent | tpm::kSensitiveDataOrigin;

}  // namespace

Status CheckEk(const PublicArea& ek) {
  CS_RETURN_IF_ERROR(tpm::CheckKeyStrength(ek.key()));
  if (!ek.HasAll(kStaysInTpm | tpm::kRestricted | tpm::kDecrypt) ||
      ek.HasAny(tpm::kSign) || ek.symmetric().algorithm != tpm::kAlgAes) {
    return Fail(ErrorCode::kEkNotTrusted,
                "the EK is not a storage key that stays in its TPM");
  }
  return {};
}

Status CheckAk(const PublicArea& ak) {
  CS_RETURN_IF_ERROR(tpm::CheckKeyStrength(ak.key()));
  if (ak.type() == tpm::kAlgEcc && ak.curve() != tpm::kCurveP256) {
    return Fail(ErrorCode::kWeakKey, "an ECC AK must be on P-256");
  }
  if (!ak.HasAll(kStaysInTpm | tpm::kRestricted | tpm::kSign) ||
      ak.HasAny(tpm::kDecrypt)) {
    return Fail(ErrorCode::kAkAttributes,
                "the AK is not a restricted signing key of its TPM");
  }
  const uint16_t scheme =
      ak.type() == tpm::kAlgRsa ? tpm::kAlgRsassa : tpm::kAlgEcdsa;
  if (ak.name_alg() != tpm::kAlgSha256 || ak.scheme().algorithm != scheme ||
      ak.scheme().hash != tpm::kAlgSha256) {
    return Fail(ErrorCode::kAkAttributes,
                "the AK's nameAlg or scheme is not SHA-256");
  }
  return {};
}

Result<Bytes> ExpectedQualifiedSigner(const PublicArea& ek,
                                      const PublicArea& ak) {
  CS_ASSIGN_OR_RETURN(const Bytes parent, tpm::QualifiedNameOfPrimary(
                                              tpm::kRhEndorsement, ek.name()));
  return tpm::QualifiedName(parent, ak.name());
}

}  // namespace countersign::verifier
