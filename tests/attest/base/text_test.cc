#include "attest/base/text.h"

#include <gtest/gtest.h>

namespace countersign {
namespace {

TEST(PrintableTest, KeepsOrdinaryTextOfAnyScript) {
  EXPECT_EQ(Printable("Zoë 東京"), "Zoë 東京");
}

TEST(PrintableTest, EscapesWhatForgesALogLine) {  // A33
  EXPECT_EQ(Printable("a\nb\r\x1b[31m"), "a\\u{a}b\\u{d}\\u{1b}[31m");
  EXPECT_EQ(Printable("x\u202Ey"), "x\\u{202e}y");
  EXPECT_EQ(Printable("\xff"), "\\xff");
}

TEST(PrintableTest, CutsLongTextAtItsBound) {  // A33
  const std::string shown = Printable(std::string(10'000'000, 'a'), 16);
  EXPECT_EQ(shown, std::string(16, 'a') + "…");
}

TEST(CheckTextTest, RejectsWhatIsNotAName) {  // A38
  EXPECT_TRUE(CheckText("mcp:tools/call:read_file", 64, "name"));
  EXPECT_FALSE(CheckText("", 64, "name"));
  EXPECT_FALSE(CheckText("abc", 2, "name"));
  EXPECT_FALSE(CheckText(std::string("a\0b", 3), 64, "name"));
  EXPECT_FALSE(CheckText("\xc0\xaf", 64, "name"));
  EXPECT_FALSE(CheckText("a\u200Bb", 64, "name"));
  EXPECT_FALSE(CheckText("\xed\xa0\x80", 64, "name"));
}

}  // namespace
}  // namespace countersign
