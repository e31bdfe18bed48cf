#include "attest/base/bytes.h"

#include <gtest/gtest.h>

#include "attest/base/digest.h"

namespace countersign {
namespace {

TEST(BytesTest, HexRoundTripsAndRefusesOddOrForeignText) {
  EXPECT_EQ(ToHex(FromHex("00ffA5").value()), "00ffa5");
  EXPECT_FALSE(FromHex("0"));
  EXPECT_FALSE(FromHex("0g"));
}

TEST(BytesTest, Base64UrlMatchesRfc4648Vectors) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},
      {"f", "Zg"},
      {"fo", "Zm8"},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg"},
      {"fooba", "Zm9vYmE"},
      {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : rows) {
    EXPECT_EQ(ToBase64Url(AsBytes(plain)), text);
    EXPECT_EQ(AsString(FromBase64Url(text).value()), plain);
  }
  EXPECT_EQ(ToBase64(AsBytes("fo")), "Zm8=");
  EXPECT_EQ(AsString(FromBase64("Zm8=").value()), "fo");
}

TEST(BytesTest, Base64UrlRefusesASecondTextForTheSameBytes) {
  EXPECT_FALSE(FromBase64Url("Zm8="));  // padding
  EXPECT_FALSE(FromBase64Url("Zm9"));   // unused bits set
  EXPECT_FALSE(FromBase64Url("Zm8\n"));
  EXPECT_FALSE(FromBase64Url("Z"));
  EXPECT_FALSE(FromBase64Url("+/"));
  EXPECT_FALSE(FromBase64("Zm8"));
  EXPECT_FALSE(FromBase64("Zm9="));
  EXPECT_FALSE(FromBase64("===="));
}

TEST(BytesTest, DigestFromTakesExactly32Bytes) {
  EXPECT_TRUE(DigestFrom(Bytes(32), "x"));
  EXPECT_FALSE(DigestFrom(Bytes(31), "x"));
  EXPECT_FALSE(DigestFrom(Bytes(33), "x"));
}

TEST(BytesTest, ConstantTimeEqualComparesEveryByte) {
  EXPECT_TRUE(ConstantTimeEqual(AsBytes("abc"), AsBytes("abc")));
  EXPECT_FALSE(ConstantTimeEqual(AsBytes("abc"), AsBytes("abd")));
  EXPECT_FALSE(ConstantTimeEqual(AsBytes("abc"), AsBytes("ab")));
}

TEST(DigestTest, MatchesFips180AndRfc4231) {
  EXPECT_EQ(ToHex(Sha256(AsBytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256({AsBytes("a"), AsBytes("bc")}), Sha256(AsBytes("abc")));
  EXPECT_EQ(ToHex(HmacSha256(AsBytes("Jefe"),
                             AsBytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace countersign
