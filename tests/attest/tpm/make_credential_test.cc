// Against a credential that a TPM opens: tests/integration. Here against an
// implementation of TPM2_ActivateCredential on other key derivation code.
#include "attest/tpm/make_credential.h"

#include <gmock/gmock.h>

#include "attest/base/digest.h"
#include "tests/fails_with.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::tpm {
namespace {

using fakes::SoftKey;

// Keys are dear to make and these tests only use them.
const SoftKey& SharedEk(KeyType type) {
  static const SoftKey* ecc = new SoftKey(fakes::NewEk(KeyType::kEccP256));
  static const SoftKey* rsa = new SoftKey(fakes::NewEk(KeyType::kRsa2048));
  return type == KeyType::kEccP256 ? *ecc : *rsa;
}

class MakeCredentialTest : public testing::TestWithParam<KeyType> {
 protected:
  const SoftKey& ek_ = SharedEk(GetParam());
  const Bytes ak_name_ = fakes::NewAk(KeyType::kEccP256).area.name();
  const Secret secret_{RandomBytes(32)};
};

INSTANTIATE_TEST_SUITE_P(Keys, MakeCredentialTest,
                         testing::Values(KeyType::kEccP256, KeyType::kRsa2048),
                         [](const auto& test) {
                           return test.param == KeyType::kEccP256 ? "Ecc"
                                                                  : "Rsa";
                         });

TEST_P(MakeCredentialTest, IsOpenedByTheEkForThatName) {
  const auto credential = MakeCredential(ek_.area, ak_name_, secret_);
  ASSERT_TRUE(Succeeds(credential));
  const auto opened = fakes::ActivateCredential(ek_, ak_name_, *credential);
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(Equal(opened->Expose(), secret_.Expose()));
}

TEST_P(MakeCredentialTest, IsNotOpenedForAnotherName) {
  const auto credential = MakeCredential(ek_.area, ak_name_, secret_);
  ASSERT_TRUE(Succeeds(credential));
  const Bytes other = fakes::NewAk(KeyType::kEccP256).area.name();
  EXPECT_FALSE(fakes::ActivateCredential(ek_, other, *credential).has_value());
}

TEST_P(MakeCredentialTest, IsNotOpenedByAnotherEk) {
  const auto credential = MakeCredential(ek_.area, ak_name_, secret_);
  ASSERT_TRUE(Succeeds(credential));
  const SoftKey other = fakes::NewEk(GetParam());
  EXPECT_FALSE(
      fakes::ActivateCredential(other, ak_name_, *credential).has_value());
}

TEST_P(MakeCredentialTest, NeverMakesTheSameBytesTwice) {
  const auto one = MakeCredential(ek_.area, ak_name_, secret_);
  const auto two = MakeCredential(ek_.area, ak_name_, secret_);
  ASSERT_TRUE(one.has_value() && two.has_value());
  EXPECT_NE(one->id_object, two->id_object);
  EXPECT_NE(one->encrypted_secret, two->encrypted_secret);
}

TEST_P(MakeCredentialTest, RejectsASecretOfTheWrongSize) {
  for (const size_t size : {size_t{0}, size_t{33}}) {
    EXPECT_TRUE(
        FailsWith(MakeCredential(ek_.area, ak_name_, Secret(Bytes(size))),
                  ErrorCode::kBadRequest));
  }
}

TEST_P(MakeCredentialTest, RejectsAnEmptyName) {
  EXPECT_TRUE(
      FailsWith(MakeCredential(ek_.area, {}, secret_), ErrorCode::kBadRequest));
}

TEST_P(MakeCredentialTest, RejectsAKeyThatIsNoStorageKey) {
  const SoftKey ak = fakes::NewAk(GetParam());
  EXPECT_TRUE(FailsWith(MakeCredential(ak.area, ak_name_, secret_),
                        ErrorCode::kWeakKey));
}

}  // namespace
}  // namespace countersign::tpm
