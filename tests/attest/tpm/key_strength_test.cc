#include "attest/tpm/key_strength.h"

#include "tests/fails_with.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::tpm {
namespace {

using fakes::RsaPublicKey;

void ExpectRefused(const EvpPkeyPtr& key, ErrorCode code) {
  EXPECT_TRUE(FailsWith(CheckKeyStrength(key.get()), code));
}

TEST(CheckKeyStrengthTest, AcceptsCommonKeys) {
  EXPECT_TRUE(Succeeds(CheckKeyStrength(fakes::NewRsaKey(2048).get())));
  EXPECT_TRUE(Succeeds(CheckKeyStrength(fakes::NewEccKey("P-256").get())));
  EXPECT_TRUE(Succeeds(CheckKeyStrength(fakes::NewEccKey("P-384").get())));
  EXPECT_TRUE(Succeeds(CheckKeyStrength(fakes::NewEccKey("P-521").get())));
  const fakes::SoftKey ak = fakes::NewAk(KeyType::kEccP256);
  EXPECT_TRUE(Succeeds(CheckKeyStrength(ak.area.key())));
}

// A16
TEST(CheckKeyStrengthTest, RejectsRsaBelow2048Bits) {
  ExpectRefused(RsaPublicKey(Bytes(128, 0xff), 65537), ErrorCode::kWeakKey);
  ExpectRefused(RsaPublicKey(Bytes(255, 0xff), 65537), ErrorCode::kWeakKey);
}

// A16
TEST(CheckKeyStrengthTest, RejectsBadExponents) {
  for (const uint64_t exponent : {1, 2, 3, 17, 65536, 65538}) {
    ExpectRefused(RsaPublicKey(Bytes(256, 0xff), exponent),
                  ErrorCode::kWeakKey);
  }
}

// A15
TEST(CheckKeyStrengthTest, RejectsAnExponentThatTakesTooLong) {
  ExpectRefused(RsaPublicKey(Bytes(256, 0xff), 0x1ffffffff),
                ErrorCode::kCertLimits);
}

// A15
TEST(CheckKeyStrengthTest, RejectsRsaAbove4096Bits) {
  ExpectRefused(RsaPublicKey(Bytes(513, 0xff), 65537), ErrorCode::kCertLimits);
  ExpectRefused(RsaPublicKey(Bytes(2048, 0xff), 65537), ErrorCode::kCertLimits);
}

// A16
TEST(CheckKeyStrengthTest, RejectsOtherCurves) {
  for (const char* curve :
       {"prime192v1", "secp224r1", "secp256k1", "brainpoolP256r1"}) {
    const EvpPkeyPtr key = fakes::NewEccKey(curve);
    EXPECT_TRUE(FailsWith(CheckKeyStrength(key.get()), ErrorCode::kWeakKey))
        << curve;
  }
}

TEST(CheckKeyStrengthTest, RejectsOtherKinds) {
  const EvpPkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_TRUE(FailsWith(CheckKeyStrength(key.get()), ErrorCode::kWeakKey));
}

// 65537^12345 modulo the product of the odd primes up to 167, brought to 2048
// bits and made odd by multiples of that product: what the generator made.
BignumPtr RocaModulus() {
  static constexpr BN_ULONG kPrimes[] = {
      3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
      47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
      107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
  const std::unique_ptr<BN_CTX, OpensslDeleter<BN_CTX_free>> context(
      BN_CTX_new());
  const BignumPtr product(BN_new());
  BN_one(product.get());
  for (const BN_ULONG prime : kPrimes) BN_mul_word(product.get(), prime);
  const BignumPtr base(BN_new());
  BN_set_word(base.get(), 65537);
  const BignumPtr power(BN_new());
  BN_set_word(power.get(), 12'345);
  BignumPtr modulus(BN_new());
  BN_mod_exp(modulus.get(), base.get(), power.get(), product.get(),
             context.get());
  const BignumPtr step(BN_dup(product.get()));
  BN_lshift(step.get(), step.get(), 2046 - BN_num_bits(step.get()));
  while (BN_num_bits(modulus.get()) < 2048) {
    BN_add(modulus.get(), modulus.get(), step.get());
  }
  if (!BN_is_odd(modulus.get())) {
    BN_add(modulus.get(), modulus.get(), product.get());
  }
  return modulus;
}

// A16, CVE-2017-15361
TEST(CheckKeyStrengthTest, RejectsTheRocaFingerprint) {
  const BignumPtr number = RocaModulus();
  EXPECT_TRUE(HasRocaFingerprint(number.get()));
  Bytes modulus(256);
  ASSERT_EQ(BN_bn2binpad(number.get(), modulus.data(), 256), 256);
  ExpectRefused(RsaPublicKey(modulus, 65537), ErrorCode::kWeakKey);
}

TEST(CheckKeyStrengthTest, FindsNoRocaFingerprintInSoundKeys) {
  for (int i = 0; i < 5; ++i) {
    const EvpPkeyPtr key = fakes::NewRsaKey(1024);
    BIGNUM* modulus = nullptr;
    ASSERT_EQ(EVP_PKEY_get_bn_param(key.get(), "n", &modulus), 1);
    const BignumPtr owner(modulus);
    EXPECT_FALSE(HasRocaFingerprint(modulus));
  }
}

}  // namespace
}  // namespace countersign::tpm
