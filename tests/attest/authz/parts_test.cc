// The small parts of the service that need no rig.
#include <gtest/gtest.h>

#include "attest/authz/epoch.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/rate_limiter.h"
#include "attest/authz/tokens.h"
#include "attest/base/digest.h"
#include "attest/base/json_guard.h"

namespace countersign::authz {
namespace {

TEST(EpochTest, IsGoodForOneDeviceAndItsTime) {
  const EpochNonces epochs(Secret(RandomBytes(32)), 300);
  const Bytes device(16, 1);
  const Bytes other(16, 2);
  const int64_t now = 1'750'000'000'000;
  const Bytes nonce = epochs.Mint(device, now);
  EXPECT_EQ(nonce.size(), 32u);
  EXPECT_TRUE(epochs.Check(device, nonce, now).has_value());
  EXPECT_TRUE(epochs.Check(device, nonce, now + 300'000).has_value());
  EXPECT_EQ(epochs.Check(device, nonce, now + 300'001).error().code,
            ErrorCode::kEpochExpired);
  EXPECT_EQ(epochs.Check(device, nonce, now - 5'001).error().code,
            ErrorCode::kEpochExpired);
  EXPECT_EQ(epochs.Check(other, nonce, now).error().code,
            ErrorCode::kNonceUnknown);
  for (size_t i = 0; i < nonce.size(); ++i) {
    Bytes changed = nonce;
    changed[i] ^= 1;
    EXPECT_EQ(epochs.Check(device, changed, now).error().code,
              ErrorCode::kNonceUnknown);
  }
  EXPECT_EQ(epochs.Check(device, {}, now).error().code,
            ErrorCode::kNonceUnknown);
  EXPECT_EQ(epochs.Check(device, Bytes(33, 0), now).error().code,
            ErrorCode::kNonceUnknown);
}

TEST(RateLimiterTest, LetsBurstsPassAndThenTheRate) {
  RateLimiter limiter(10, 1000, 2);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limiter.Take("a", 0), 0);
  EXPECT_EQ(limiter.Take("a", 0), 1);
  EXPECT_EQ(limiter.Take("b", 0), 0);
  EXPECT_EQ(limiter.Take("a", 100), 0);
  EXPECT_EQ(limiter.Take("a", 100), 1);
  // Memory is bounded: the longest quiet key is forgotten.
  EXPECT_EQ(limiter.Take("c", 100), 0);
  EXPECT_EQ(limiter.Take("d", 100), 0);
  EXPECT_EQ(limiter.Take("a", 100), 0);
}

TEST(RateLimiterTest, SaysHowLongToWait) {
  RateLimiter limiter(1, 60'000);
  EXPECT_EQ(limiter.Take("a", 0), 0);
  EXPECT_EQ(limiter.Take("a", 0), 60);
  EXPECT_EQ(limiter.Take("a", 30'000), 30);
}

TEST(TokensTest, AreFoundAgainByTheirSecret) {
  const NewToken token = MintEnrollmentToken("thumb", 3, 1'000, 60);
  EXPECT_EQ(EnrollmentTokenKey(token.text, "thumb").value(),
            token.row.secret_sha256);
  EXPECT_FALSE(EnrollmentTokenKey(token.text, "other").has_value());
  EXPECT_FALSE(AdminTokenKey("Bearer " + token.text).has_value());
  const NewToken admin = MintAdminToken(1'000, 60);
  EXPECT_EQ(AdminTokenKey("Bearer " + admin.text).value(),
            admin.row.secret_sha256);
  EXPECT_EQ(CheckToken(admin.row, TokenKind::kEnroll, 1'000).error().code,
            ErrorCode::kTokenInvalid);
  EXPECT_TRUE(CheckToken(token.row, TokenKind::kEnroll, 60'999).has_value());
  EXPECT_EQ(CheckToken(token.row, TokenKind::kEnroll, 61'000).error().code,
            ErrorCode::kTokenExpired);
  TokenRow used = token.row;
  used.uses = 3;
  EXPECT_EQ(CheckToken(used, TokenKind::kEnroll, 1'000).error().code,
            ErrorCode::kTokenUsed);
  TokenRow revoked = token.row;
  revoked.revoked = true;
  EXPECT_EQ(CheckToken(revoked, TokenKind::kEnroll, 1'000).error().code,
            ErrorCode::kTokenInvalid);
}

TEST(JsonWriterTest, WritesJson) {
  JsonWriter json;
  json.BeginObject()
      .String("a", "\"\\\n\x01\x7f é")
      .Int("b", -5)
      .BeginArray("c")
      .Bool("", true)
      .String("", "x")
      .EndArray()
      .BeginObject("d")
      .EndObject()
      .Optional("e", "")
      .Raw("f", "[1]")
      .EndObject();
  EXPECT_EQ(json.text(),
            "{\"a\":\"\\\"\\\\\\u000a\\u0001\\u007f é\",\"b\":-5,"
            "\"c\":[true,\"x\"],\"d\":{},\"f\":[1]}");
  EXPECT_TRUE(CheckJson(json.text(), 1000).has_value());
}

}  // namespace
}  // namespace countersign::authz
