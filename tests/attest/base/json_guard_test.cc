#include "attest/base/json_guard.h"

#include <gtest/gtest.h>

#include <string>

namespace countersign {
namespace {

constexpr size_t kMax = 1 << 20;

std::string Nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']');
}

TEST(CheckJsonTest, AcceptsOneOrdinaryValue) {
  EXPECT_TRUE(CheckJson(R"({"a":{"b":[1,2.5,"x",null]},"c":{"b":1}})", kMax));
}

TEST(CheckJsonTest, RejectsDuplicateKeys) {  // A14, A32
  EXPECT_FALSE(CheckJson(R"({"a":1,"a":2})", kMax));
  EXPECT_FALSE(CheckJson(R"({"a":1,"\u0061":2})", kMax));
  EXPECT_FALSE(CheckJson(R"([{"x":{"a":1,"a":1}}])", kMax));
}

TEST(CheckJsonTest, RejectsDepthBeyondTheBound) {  // A32
  EXPECT_TRUE(CheckJson(Nested(kMaxJsonDepth), kMax));
  EXPECT_FALSE(CheckJson(Nested(kMaxJsonDepth + 1), kMax));
  EXPECT_FALSE(CheckJson(Nested(100'000), kMax));
}

TEST(CheckJsonTest, RejectsTextThatIsNotOneJsonValue) {  // A32
  for (const char* text : {"", "{", "{} {}", "NaN", "Infinity", "{'a':1}",
                           "[1,]", "\xef\xbb\xbf{}", R"("\ud800")",
                           "\"\xc0\xaf\"", "1e999", "// c\n1", "\"\x01\""}) {
    EXPECT_FALSE(CheckJson(text, kMax)) << text;
  }
}

// Found by json_guard_fuzz: what follows a NUL was not read at all.
TEST(CheckJsonTest, RejectsANulByteAndWhatHidesBehindIt) {  // A14, A32
  using std::string_view_literals::operator""sv;
  EXPECT_FALSE(CheckJson("1\0"sv, kMax));
  EXPECT_FALSE(CheckJson("{\"a\":1}\0{\"a\":2}"sv, kMax));
  EXPECT_FALSE(CheckJson("\0{}"sv, kMax));
}

TEST(CheckJsonTest, RejectsTextLongerThanAllowed) {
  const Status status = CheckJson("[1,2,3]", 6);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace countersign
