#include "attest/tpm/public_area.h"

#include <gmock/gmock.h>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"
#include "tests/fails_with.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::tpm {
namespace {

using fakes::SoftKey;

TEST(PublicAreaTest, ReadsAnEccAk) {
  const SoftKey ak = fakes::NewAk(KeyType::kEccP256);
  const auto area = PublicArea::Parse(ak.area.bytes());
  ASSERT_TRUE(Succeeds(area));
  EXPECT_EQ(area->bytes(), ak.area.bytes());
  EXPECT_EQ(area->type(), kAlgEcc);
  EXPECT_EQ(area->name_alg(), kAlgSha256);
  EXPECT_EQ(area->attributes(), kAkAttributes);
  EXPECT_EQ(area->curve(), kCurveP256);
  EXPECT_EQ(area->bits(), 256);
  EXPECT_EQ(area->scheme().algorithm, kAlgEcdsa);
  EXPECT_EQ(area->scheme().hash, kAlgSha256);
  EXPECT_EQ(area->symmetric().algorithm, kAlgNull);
  EXPECT_EQ(EVP_PKEY_eq(area->key(), ak.key.get()), 1);
  EXPECT_EQ(EVP_PKEY_eq(area->ToPkey().get(), ak.key.get()), 1);
}

TEST(PublicAreaTest, ReadsAnRsaEk) {
  const SoftKey ek = fakes::NewEk(KeyType::kRsa2048);
  const auto area = PublicArea::Parse(ek.area.bytes());
  ASSERT_TRUE(Succeeds(area));
  EXPECT_EQ(area->type(), kAlgRsa);
  EXPECT_EQ(area->attributes(), kEkAttributes);
  EXPECT_EQ(area->auth_policy(), ToBytes(EkAuthPolicy()));
  EXPECT_EQ(area->symmetric().key_bits, 128);
  EXPECT_EQ(area->curve(), 0);
  EXPECT_TRUE(area->x().empty());
  EXPECT_EQ(area->bits(), 2048);
  EXPECT_EQ(EVP_PKEY_eq(area->key(), ek.key.get()), 1);
}

TEST(PublicAreaTest, ReadsAKeyOnP384) {
  const EvpPkeyPtr key = fakes::NewEccKey("P-384");
  const auto area = PublicArea::FromKey(key.get(), {});
  ASSERT_TRUE(Succeeds(area));
  EXPECT_EQ(area->curve(), kCurveP384);
  EXPECT_EQ(area->x().size(), 48u);
}

TEST(PublicAreaTest, NamesAreTheAlgorithmAndTheDigestOfTheBytes) {
  const SoftKey ak = fakes::NewAk(KeyType::kEccP256);
  EXPECT_EQ(ToHex(ak.area.name()), "000b" + ToHex(Sha256(ak.area.bytes())));
}

TEST(PublicAreaTest, RejectsATruncationAtEveryByte) {
  for (const SoftKey& key :
       {fakes::NewAk(KeyType::kEccP256), fakes::NewEk(KeyType::kRsa2048)}) {
    const ByteSpan whole = key.area.bytes();
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(PublicArea::Parse(whole.first(size)).has_value()) << size;
    }
  }
}

TEST(PublicAreaTest, RejectsBytesLeftOver) {
  for (const KeyType type : {KeyType::kEccP256, KeyType::kRsa2048}) {
    Bytes bytes = fakes::NewAk(type).area.bytes();
    bytes.push_back(0);
    EXPECT_TRUE(
        FailsWith(PublicArea::Parse(bytes), ErrorCode::kMalformedEvidence));
  }
}

TEST(PublicAreaTest, RejectsMoreThanItsBound) {
  EXPECT_TRUE(FailsWith(PublicArea::Parse(Bytes(kMaxPublicSize + 1)),
                        ErrorCode::kMalformedEvidence));
}

// Writes an ECC signing key's area with one field to choose.
struct EccFields {
  uint16_t type = kAlgEcc;
  uint16_t name_alg = kAlgSha256;
  uint32_t attributes = kAkAttributes;
  Bytes policy;
  uint16_t symmetric = kAlgNull;
  uint16_t scheme = kAlgEcdsa;
  uint16_t curve = kCurveP256;
  uint16_t kdf = kAlgNull;
  Bytes x;
  Bytes y;

  [[nodiscard]] Bytes Encode() const {
    return BigEndianWriter()
        .U16(type)
        .U16(name_alg)
        .U32(attributes)
        .Sized16(policy)
        .U16(symmetric)
        .U16(scheme)
        .U16(kAlgSha256)
        .U16(curve)
        .U16(kdf)
        .Sized16(x)
        .Sized16(y)
        .bytes();
  }
};

class EccFieldsTest : public testing::Test {
 protected:
  EccFieldsTest() {
    const SoftKey key = fakes::NewAk(KeyType::kEccP256);
    fields_.x = key.area.x();
    fields_.y = key.area.y();
  }
  void ExpectRejected(ErrorCode code) {
    EXPECT_TRUE(FailsWith(PublicArea::Parse(fields_.Encode()), code));
  }
  EccFields fields_;
};

TEST_F(EccFieldsTest, AcceptsTheUnchangedFields) {
  EXPECT_TRUE(Succeeds(PublicArea::Parse(fields_.Encode())));
}
TEST_F(EccFieldsTest, RejectsAPointOffTheCurve) {
  fields_.y.back() ^= 1;
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
TEST_F(EccFieldsTest, RejectsAnEmptyPoint) {
  fields_.x.clear();
  fields_.y.clear();
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
TEST_F(EccFieldsTest, RejectsACoordinateOverTheFieldSize) {
  fields_.x.insert(fields_.x.begin(), 0);
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
TEST_F(EccFieldsTest, RejectsAKeyDerivationScheme) {
  fields_.kdf = 0x20;
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
// A16
TEST_F(EccFieldsTest, RejectsP192) {
  fields_.curve = 1;
  ExpectRejected(ErrorCode::kWeakKey);
}
TEST_F(EccFieldsTest, RejectsASymmetricKey) {
  fields_.type = 0x0025;  // TPM_ALG_SYMCIPHER
  ExpectRejected(ErrorCode::kWeakKey);
}
TEST_F(EccFieldsTest, RejectsSha1AsNameAlg) {
  fields_.name_alg = kAlgSha1;
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
TEST_F(EccFieldsTest, RejectsAReservedAttribute) {
  fields_.attributes |= 1u << 31;
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
TEST_F(EccFieldsTest, RejectsAPolicyThatIsNoDigest) {
  fields_.policy = Bytes(20);
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
TEST_F(EccFieldsTest, RejectsAnUnknownScheme) {
  fields_.scheme = 0x001a;  // ECDAA
  ExpectRejected(ErrorCode::kMalformedEvidence);
}
TEST_F(EccFieldsTest, RejectsAnUnknownSymmetricAlgorithm) {
  fields_.symmetric = 0x0026;  // Camellia; the next fields serve as its own.
  ExpectRejected(ErrorCode::kMalformedEvidence);
}

TEST(PublicAreaTest, PadsACoordinateThatAChipShortened) {
  // Points with a leading zero byte in x come once in 256 keys.
  for (int tries = 0; tries < 10'000; ++tries) {
    const SoftKey key = fakes::NewAk(KeyType::kEccP256);
    if (key.area.x().front() != 0) continue;
    EccFields fields;
    fields.x = Bytes(key.area.x().begin() + 1, key.area.x().end());
    fields.y = key.area.y();
    const auto area = PublicArea::Parse(fields.Encode());
    ASSERT_TRUE(Succeeds(area));
    EXPECT_EQ(area->x(), key.area.x());
    EXPECT_EQ(EVP_PKEY_eq(area->key(), key.key.get()), 1);
    return;
  }
  FAIL() << "no such key in 10,000";
}

TEST(PublicAreaTest, RejectsAnImpossibleRsaModulus) {
  const SoftKey ak = fakes::NewAk(KeyType::kRsa2048);
  const auto with_modulus = [&](uint16_t bits, ByteSpan modulus) {
    const Bytes head(ak.area.bytes().begin(), ak.area.bytes().end() - 256 - 8);
    return BigEndianWriter()
        .Raw(head)
        .U16(bits)
        .U32(0)
        .Sized16(modulus)
        .bytes();
  };
  const ByteSpan modulus = ByteSpan(ak.area.bytes()).last(256);
  EXPECT_TRUE(Succeeds(PublicArea::Parse(with_modulus(2048, modulus))));
  Bytes even = ToBytes(modulus);
  even.back() &= 0xfe;
  Bytes small = ToBytes(modulus);
  small.front() &= 0x7f;
  for (const Bytes& bytes :
       {with_modulus(1024, modulus), with_modulus(2047, modulus),
        with_modulus(2048, modulus.first(255)), with_modulus(2048, even),
        with_modulus(2048, small), with_modulus(2048, {}), with_modulus(0, {}),
        with_modulus(8192, Bytes(1000, 0xff))}) {
    EXPECT_TRUE(
        FailsWith(PublicArea::Parse(bytes), ErrorCode::kMalformedEvidence));
  }
}

TEST(PublicAreaTest, RejectsAKeyThatIsNeitherRsaNorEcc) {
  const EvpPkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_TRUE(
      FailsWith(PublicArea::FromKey(key.get(), {}), ErrorCode::kWeakKey));
}

TEST(QualifiedNameTest, RejectsWhatIsNotAName) {
  Bytes other_hash(34);
  other_hash[1] = kAlgSha1;
  for (const Bytes& name :
       {Bytes{}, Bytes{0}, Bytes{0, 0x0b}, Bytes(33), other_hash}) {
    EXPECT_TRUE(FailsWith(QualifiedNameOfPrimary(kRhEndorsement, name),
                          ErrorCode::kMalformedEvidence));
  }
}

}  // namespace
}  // namespace countersign::tpm
