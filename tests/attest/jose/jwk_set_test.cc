#include "attest/jose/jwk_set.h"

#include <gtest/gtest.h>

#include <string>

namespace countersign::jose {
namespace {

std::string Jwk(const std::string& extra = "") {
  static const Es256Key key = Es256Key::Generate().value();
  std::string jwk = key.public_key().ToJwkJson();
  jwk.pop_back();
  return jwk + extra + "}";
}

std::string Set(const std::string& keys) {
  return R"({"keys":[)" + keys + "]}";
}

ErrorCode KeyCode(const std::string& json) {
  const auto key = Es256PublicKey::FromJwkJson(json);
  return key ? ErrorCode{} : key.error().code;
}

ErrorCode SetCode(const std::string& json) {
  const auto set = KeySet::FromJson(json);
  return set ? ErrorCode{} : set.error().code;
}

TEST(FromJwkJsonTest, AcceptsAPublicKeyWithOrWithoutAlgAndUse) {
  EXPECT_EQ(KeyCode(Jwk()), ErrorCode{});
  EXPECT_EQ(KeyCode(Jwk(R"(,"alg":"ES256","use":"sig","x-other":1)")),
            ErrorCode{});
}

TEST(FromJwkJsonTest, RejectsAPrivateKey) {
  EXPECT_EQ(KeyCode(Jwk(R"(,"d":"AAAA")")), ErrorCode::kJwsMalformed);
}

TEST(FromJwkJsonTest, RejectsKeysForOtherAlgorithms) {
  EXPECT_EQ(KeyCode(R"({"kty":"oct","k":"AAAA"})"), ErrorCode::kJwsAlgorithm);
  EXPECT_EQ(KeyCode(R"({"kty":"RSA","n":"AQ","e":"AQAB"})"),
            ErrorCode::kJwsAlgorithm);
  EXPECT_EQ(KeyCode(R"({"kty":"EC","crv":"P-384","x":"A","y":"A"})"),
            ErrorCode::kJwsAlgorithm);
  EXPECT_EQ(KeyCode(Jwk(R"(,"alg":"HS256")")), ErrorCode::kJwsAlgorithm);
  EXPECT_EQ(KeyCode(Jwk(R"(,"use":"enc")")), ErrorCode::kJwsAlgorithm);
}

TEST(FromJwkJsonTest, RejectsWhatIsNotAJwk) {
  for (const char* json :
       {"", "[]", "{}", "null", R"({"kty":1})", R"({"kty":"EC","crv":"P-256"})",
        R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})",
        R"({"kty":"EC","kty":"EC","crv":"P-256","x":"AA","y":"AA"})"}) {
    EXPECT_EQ(KeyCode(json), ErrorCode::kJwsMalformed) << json;
  }
}

TEST(KeySetTest, IsTheSameAfterJson) {
  KeySet set;
  const auto first = Es256Key::Generate().value();
  const auto second = Es256Key::Generate().value();
  set.Add(first.public_key());
  set.Add(second.public_key());
  set.Add(second.public_key());
  const auto again = KeySet::FromJson(set.ToJson());
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->size(), 2u);
  EXPECT_EQ(again->ToJson(), set.ToJson());
  ASSERT_NE(again->Find(first.kid()), nullptr);
  EXPECT_EQ(again->Find(first.kid())->x(), first.public_key().x());
  EXPECT_EQ(again->Find("unknown"), nullptr);
}

TEST(KeySetTest, SkipsKeysOfAnotherKind) {
  const auto set =
      KeySet::FromJson(Set(R"({"kty":"oct","k":"AA"},)" + Jwk() +
                           R"(,{"kty":"RSA","n":"AQ","e":"AQAB"})"));
  ASSERT_TRUE(set);
  EXPECT_EQ(set->size(), 1u);
}

TEST(KeySetTest, RejectsAKidThatIsNotTheThumbprint) {
  EXPECT_EQ(SetCode(Set(Jwk(R"(,"kid":"key-1")"))), ErrorCode::kJwsMalformed);
}

TEST(KeySetTest, RejectsPrivateAndInvalidKeys) {
  EXPECT_EQ(SetCode(Set(Jwk(R"(,"d":"AA")"))), ErrorCode::kJwsMalformed);
  const std::string zero(43, 'A');
  EXPECT_EQ(SetCode(Set(R"({"kty":"EC","crv":"P-256","x":")" + zero +
                        R"(","y":")" + zero + R"("})")),
            ErrorCode::kWeakKey);
}

TEST(KeySetTest, RejectsWhatIsNotAJwkSet) {
  for (const char* json : {"", "[]", "{}", R"({"keys":1})", R"({"keys":[1]})",
                           R"({"keys":[],"keys":[]})"}) {
    EXPECT_EQ(SetCode(json), ErrorCode::kJwsMalformed) << json;
  }
}

TEST(KeySetTest, RejectsMoreThanItsBounds) {
  std::string many = Jwk();
  for (size_t i = 0; i < KeySet::kMaxKeys; ++i) many += "," + Jwk();
  EXPECT_EQ(SetCode(Set(many)), ErrorCode::kTooLarge);
  EXPECT_EQ(SetCode(Set("") + std::string(KeySet::kMaxJsonSize, ' ')),
            ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace countersign::jose
