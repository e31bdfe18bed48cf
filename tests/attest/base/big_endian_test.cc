#include "attest/base/big_endian.h"

#include <gtest/gtest.h>

namespace countersign {
namespace {

TEST(BigEndianTest, ReadsWhatItWrote) {
  const Bytes bytes = BigEndianWriter()
                          .U8(1)
                          .U16(0x0203)
                          .U32(0x04050607)
                          .U64(0x08090a0b0c0d0e0f)
                          .Sized16(AsBytes("xyz"))
                          .bytes();
  EXPECT_EQ(ToHex(bytes), "0102030405060708090a0b0c0d0e0f000378797a");
  BigEndianReader reader(bytes);
  EXPECT_EQ(reader.U8(), 1);
  EXPECT_EQ(reader.U16(), 0x0203);
  EXPECT_EQ(reader.U32(), 0x04050607u);
  EXPECT_EQ(reader.U64(), 0x08090a0b0c0d0e0fu);
  EXPECT_EQ(AsString(reader.Sized16(3)), "xyz");
  EXPECT_TRUE(reader.AtEnd());
}

TEST(BigEndianTest, FailsForGoodAfterAShortRead) {
  const Bytes bytes = {1, 2, 3};
  BigEndianReader reader(bytes);
  EXPECT_EQ(reader.U32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0);
  EXPECT_FALSE(reader.AtEnd());
}

TEST(BigEndianTest, RejectsASizedFieldOverItsBound) {
  const Bytes bytes = {0, 3, 1, 2, 3};
  BigEndianReader reader(bytes);
  EXPECT_TRUE(reader.Sized16(2).empty());
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace countersign
