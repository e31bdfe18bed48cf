#include "attest/tpm/key_strength.h"

#include <openssl/core_names.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>

#include <array>

namespace countersign::tpm {
namespace {

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 4096;
constexpr BN_ULONG kGenerator = 65537;

// The odd primes up to 167. The library's moduli for 2048-bit keys are powers
// of 65537 modulo more than these; 17 of them tell, at odds of 1 in 10^8 to
// call a sound key bad.
constexpr std::array<BN_ULONG, 38> kPrimes = {
    3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
    47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};

bool IsPowerOfGenerator(BN_ULONG residue, BN_ULONG prime) {
  BN_ULONG power = 1;
  do {
    if (power == residue) return true;
    power = power * kGenerator % prime;
  } while (power != 1);
  return false;
}

BignumPtr Parameter(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  return BignumPtr(number);
}

Status CheckRsa(const EVP_PKEY* key) {
  const BignumPtr modulus = Parameter(key, OSSL_PKEY_PARAM_RSA_N);
  const BignumPtr exponent = Parameter(key, OSSL_PKEY_PARAM_RSA_E);
  if (modulus == nullptr || exponent == nullptr) {
    return Fail(ErrorCode::kWeakKey, "the RSA key cannot be read");
  }
  const int bits = BN_num_bits(modulus.get());
  if (bits > kMaxRsaBits) {
    return Fail(ErrorCode::kCertLimits, "RSA key above 4096 bits");
  }
  if (BN_num_bits(exponent.get()) > 32) {
    return Fail(ErrorCode::kCertLimits, "RSA exponent above 32 bits");
  }
  if (bits < kMinRsaBits) {
    return Fail(ErrorCode::kWeakKey, "RSA key below 2048 bits");
  }
  const BN_ULONG e = BN_get_word(exponent.get());
  if (e < kGenerator || e % 2 == 0) {
    return Fail(ErrorCode::kWeakKey, "RSA exponent is even or too small");
  }
  if (HasRocaFingerprint(modulus.get())) {
    return Fail(ErrorCode::kWeakKey, "RSA key made by a broken generator");
  }
  return {};
}

Status CheckEcc(const EVP_PKEY* key) {
  char group[64] = "";
  EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr);
  switch (OBJ_txt2nid(group)) {
    case NID_X9_62_prime256v1:
    case NID_secp384r1:
    case NID_secp521r1:
      return {};
    default:
      return Fail(ErrorCode::kWeakKey, "the curve is not accepted");
  }
}

}  // namespace

Status CheckKeyStrength(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return CheckRsa(key);
  if (EVP_PKEY_is_a(key, "EC") == 1) return CheckEcc(key);
  return Fail(ErrorCode::kWeakKey, "the key is neither RSA nor ECC");
}

bool HasRocaFingerprint(const BIGNUM* modulus) {
  for (BN_ULONG prime : kPrimes) {
    if (!IsPowerOfGenerator(BN_mod_word(modulus, prime), prime)) return false;
  }
  return true;
}

}  // namespace countersign::tpm
