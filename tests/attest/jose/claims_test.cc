#include "attest/jose/claims.h"

#include <gtest/gtest.h>

#include <string>

namespace countersign::jose {
namespace {

constexpr int64_t kNow = 1'900'000'000;

ExpectedClaims Expected() {
  ExpectedClaims expected;
  expected.issuer = "https://authz.example";
  expected.audience = "https://files.example";
  expected.now_s = kNow;
  expected.leeway_s = 30;
  expected.max_lifetime_s = 300;
  return expected;
}

std::string Claims(const std::string& times,
                   const std::string& iss = R"("https://authz.example")",
                   const std::string& aud = R"("https://files.example")") {
  return R"({"iss":)" + iss + R"(,"aud":)" + aud + "," + times + "}";
}

std::string Times(int64_t iat, int64_t exp) {
  return "\"iat\":" + std::to_string(iat) + ",\"exp\":" + std::to_string(exp);
}

ErrorCode CodeOf(const std::string& claims) {
  const auto checked = CheckClaims(claims, Expected());
  return checked ? ErrorCode{} : checked.error().code;
}

TEST(CheckClaimsTest, AcceptsAFreshTokenAndReadsIt) {
  const auto checked = CheckClaims(
      Claims(Times(kNow, kNow + 300) + R"(,"sub":"idp:x","jti":"j")"),
      Expected());
  ASSERT_TRUE(checked) << checked.error().detail;
  EXPECT_EQ(checked->subject, "idp:x");
  EXPECT_EQ(checked->jti, "j");
  EXPECT_EQ(checked->issued_at_s, kNow);
  EXPECT_EQ(checked->expires_at_s, kNow + 300);
}

TEST(CheckClaimsTest, RejectsAnotherIssuer) {  // A36
  const std::string times = Times(kNow, kNow + 60);
  for (const char* iss :
       {R"("https://authz.example/")", R"("https://AUTHZ.example")",
        R"("https://other.example")", R"(["https://authz.example"])", "null"}) {
    EXPECT_EQ(CodeOf(Claims(times, iss)), ErrorCode::kJwsClaims) << iss;
  }
  EXPECT_EQ(CodeOf(R"({"aud":"https://files.example",)" + times + "}"),
            ErrorCode::kJwsClaims);
}

TEST(CheckClaimsTest, RejectsAnotherAudience) {  // A36
  const std::string times = Times(kNow, kNow + 60);
  const std::string iss = R"("https://authz.example")";
  for (const char* aud :
       {R"("https://files.example/")", R"("https://other.example")",
        R"(["https://files.example","https://other.example"])", "null", "{}"}) {
    EXPECT_EQ(CodeOf(Claims(times, iss, aud)), ErrorCode::kJwsClaims) << aud;
  }
  EXPECT_EQ(CodeOf(R"({"iss":"https://authz.example",)" + times + "}"),
            ErrorCode::kJwsClaims);
}

// A35
TEST(CheckClaimsTest, RejectsATokenWithoutExp) {
  EXPECT_EQ(CodeOf(Claims("\"iat\":" + std::to_string(kNow))),
            ErrorCode::kJwsClaims);
}

// A35
TEST(CheckClaimsTest, RejectsATokenWithoutIat) {
  EXPECT_EQ(CodeOf(Claims("\"exp\":" + std::to_string(kNow + 60))),
            ErrorCode::kJwsClaims);
}

// A35
TEST(CheckClaimsTest, RejectsTimesThatAreNotWholeNumbersInRange) {
  const std::string iat = "\"iat\":" + std::to_string(kNow);
  for (const char* exp :
       {"9223372036854775808", "9223372036854775807", "18446744073709551615",
        "18446744073709551616", "9007199254740992", "-1", "1.9e9",
        "1900000060.5", "1e300", "\"1900000060\"", "null", "true",
        "[1900000060]"}) {
    EXPECT_EQ(CodeOf(Claims(iat + ",\"exp\":" + exp)), ErrorCode::kJwsClaims)
        << exp;
    EXPECT_EQ(CodeOf(Claims("\"exp\":1900000060,\"iat\":" + std::string(exp))),
              ErrorCode::kJwsClaims)
        << exp;
    EXPECT_EQ(CodeOf(Claims(Times(kNow, kNow + 60) + ",\"nbf\":" + exp)),
              ErrorCode::kJwsClaims)
        << exp;
  }
}

// A35
TEST(CheckClaimsTest, RejectsIatInTheFuture) {
  EXPECT_EQ(CodeOf(Claims(Times(kNow + 30, kNow + 60))), ErrorCode{});
  EXPECT_EQ(CodeOf(Claims(Times(kNow + 31, kNow + 60))), ErrorCode::kJwsClaims);
}

// A35
TEST(CheckClaimsTest, RejectsNbfInTheFuture) {
  const std::string times = Times(kNow, kNow + 60);
  EXPECT_EQ(CodeOf(Claims(times + ",\"nbf\":" + std::to_string(kNow + 30))),
            ErrorCode{});
  EXPECT_EQ(CodeOf(Claims(times + ",\"nbf\":" + std::to_string(kNow + 31))),
            ErrorCode::kJwsClaims);
}

// A35: an iat long ago with an exp that is still ahead.
TEST(CheckClaimsTest, RejectsALifetimeLongerThanThatKindMayHave) {
  EXPECT_EQ(CodeOf(Claims(Times(kNow - 1, kNow + 300))), ErrorCode::kJwsClaims);
  EXPECT_EQ(CodeOf(Claims(Times(0, kNow + 60))), ErrorCode::kJwsClaims);
}

TEST(CheckClaimsTest, RejectsExpThatIsNotAfterIat) {
  EXPECT_EQ(CodeOf(Claims(Times(kNow, kNow))), ErrorCode::kJwsClaims);
  EXPECT_EQ(CodeOf(Claims(Times(kNow, kNow - 1))), ErrorCode::kJwsClaims);
}

TEST(CheckClaimsTest, RejectsAnExpiredToken) {
  EXPECT_EQ(CodeOf(Claims(Times(kNow - 100, kNow - 29))), ErrorCode{});
  EXPECT_EQ(CodeOf(Claims(Times(kNow - 100, kNow - 30))),
            ErrorCode::kTokenExpired);
}

TEST(CheckClaimsTest, RejectsSubAndJtiThatAreNotText) {
  const std::string times = Times(kNow, kNow + 60);
  EXPECT_EQ(CodeOf(Claims(times + ",\"sub\":1")), ErrorCode::kJwsClaims);
  EXPECT_EQ(CodeOf(Claims(times + ",\"jti\":null")), ErrorCode::kJwsClaims);
}

TEST(CheckClaimsTest, RejectsWhatIsNotOneJsonObject) {  // A14
  EXPECT_EQ(CodeOf("[]"), ErrorCode::kJwsClaims);
  const std::string twice = Claims(Times(kNow, kNow + 60) + ",\"exp\":1");
  EXPECT_EQ(CodeOf(twice), ErrorCode::kJwsClaims);
}

}  // namespace
}  // namespace countersign::jose
