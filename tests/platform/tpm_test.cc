#include "platform/tpm.h"

#include "tests/fails_with.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::platform {
namespace {

using tpm::KeyType;

AkBlob SomeBlob() {
  return {KeyType::kRsa2048, KeyType::kEccP256, Bytes(34, 1), Bytes(90, 2),
          Bytes(200, 3)};
}

TEST(AkBlobTest, ComesBackFromItsBytes) {
  const auto blob = AkBlob::Decode(SomeBlob().Encode());
  ASSERT_TRUE(Succeeds(blob));
  EXPECT_EQ(blob->type, KeyType::kRsa2048);
  EXPECT_EQ(blob->parent_type, KeyType::kEccP256);
  EXPECT_EQ(blob->parent_name, Bytes(34, 1));
  EXPECT_EQ(blob->public_area, Bytes(90, 2));
  EXPECT_EQ(blob->private_area, Bytes(200, 3));
}

TEST(AkBlobTest, RejectsEveryTruncation) {
  const Bytes whole = SomeBlob().Encode();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(FailsWith(AkBlob::Decode(ByteSpan(whole).first(size)),
                          ErrorCode::kStorageCorrupt))
        << size;
  }
}

TEST(AkBlobTest, RejectsTrailingBytesAndUnknownValues) {
  Bytes longer = SomeBlob().Encode();
  longer.push_back(0);
  EXPECT_TRUE(FailsWith(AkBlob::Decode(longer), ErrorCode::kStorageCorrupt));
  for (const size_t at : {0, 1, 2}) {
    Bytes other = SomeBlob().Encode();
    other[at] = 9;
    EXPECT_TRUE(FailsWith(AkBlob::Decode(other), ErrorCode::kStorageCorrupt));
  }
}

EndorsementKey Ek(KeyType type, bool certified) {
  return {type, fakes::NewEk(type).area,
          certified ? std::vector<Bytes>{Bytes(1)} : std::vector<Bytes>{}};
}

TEST(PreferredEkTest, TakesTheCertifiedEccKey) {
  const std::vector<EndorsementKey> keys = {Ek(KeyType::kRsa2048, true),
                                            Ek(KeyType::kEccP256, true)};
  EXPECT_EQ(&PreferredEk(keys), &keys[1]);
}

TEST(PreferredEkTest, TakesTheCertifiedRsaKeyBeforeAnUncertifiedEccKey) {
  const std::vector<EndorsementKey> keys = {Ek(KeyType::kEccP256, false),
                                            Ek(KeyType::kRsa2048, true)};
  EXPECT_EQ(&PreferredEk(keys), &keys[1]);
}

TEST(PreferredEkTest, TakesTheEccKeyWhenNoneIsCertified) {
  const std::vector<EndorsementKey> keys = {Ek(KeyType::kRsa2048, false),
                                            Ek(KeyType::kEccP256, false)};
  EXPECT_EQ(&PreferredEk(keys), &keys[1]);
}

TEST(PreferredEkTest, TakesWhatThereIs) {
  const std::vector<EndorsementKey> keys = {Ek(KeyType::kRsa2048, false)};
  EXPECT_EQ(&PreferredEk(keys), &keys[0]);
}

}  // namespace
}  // namespace countersign::platform
