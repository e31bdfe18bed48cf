#include "attest/ledger/tiles.h"

#include <gtest/gtest.h>

#include <string>

namespace countersign::ledger {
namespace {

TEST(TilePathTest, WritesTheExamplesOfTheSpecification) {  // C2SP tlog-tiles
  EXPECT_EQ(TilePath({0, 1234067}), "tile/0/x001/x234/067");
  EXPECT_EQ(TilePath({0, 0}), "tile/0/000");
  EXPECT_EQ(TilePath({1, 0}, 5), "tile/1/000.p/5");
  EXPECT_EQ(TilePath({kEntries, 1234}), "tile/entries/x001/234");
  EXPECT_EQ(TilePath({kEntries, 1000}, 255), "tile/entries/x001/000.p/255");
}

TEST(ParseTilePathTest, ReadsBackEveryPathItWrites) {
  for (int level : {kEntries, 0, 1, 7}) {
    for (uint64_t index : {0ull, 1ull, 999ull, 1000ull, 999'999ull,
                           1'000'000ull, 999'999'999'999'999'999ull}) {
      for (int width : {1, 9, 255, 256}) {
        const std::string path = TilePath({level, index}, width);
        const auto name = ParseTilePath(path);
        ASSERT_TRUE(name) << path;
        EXPECT_EQ(name->id.level, level);
        EXPECT_EQ(name->id.index, index);
        EXPECT_EQ(name->width, width);
      }
    }
  }
}

TEST(ParseTilePathTest, RejectsEveryOtherText) {
  for (const char* path : {"",
                           "tile",
                           "tile/",
                           "tile/0",
                           "tile/0/",
                           "tile/0/0",
                           "tile/0/00",
                           "tile/0/0000",
                           "tile/0/1000",
                           "tile/0/x000/001",
                           "tile/0/001/002",
                           "tile/0/x001",
                           "tile/0/x001/",
                           "tile/0/x1/001",
                           "tile/8/000",
                           "tile/00/000",
                           "tile/-1/000",
                           "tile/x/000",
                           "tile/10/000",
                           "tile/0/000.p",
                           "tile/0/000.p/",
                           "tile/0/000.p/0",
                           "tile/0/000.p/256",
                           "tile/0/000.p/05",
                           "tile/0/000.p/1000",
                           "tile/0/000.p/5/",
                           "tile/0/000/",
                           "tile/0/000 ",
                           "/tile/0/000",
                           "tile/0/../0/000",
                           "tile/entries",
                           "tile/entries/",
                           "tile/Entries/000",
                           "tile/0/-01",
                           "tile/0/+01",
                           "tile/0/x999/x999/x999/x999/x999/x999/999",
                           "tile/0/000.p/+5"}) {
    const auto name = ParseTilePath(path);
    ASSERT_FALSE(name) << path;
    EXPECT_EQ(name.error().code, ErrorCode::kBadRequest);
  }
}

TEST(TileWidthAtTest, CountsTheHashesBelowATreesSize) {
  EXPECT_EQ(TileWidthAt({0, 0}, 0), 0);
  EXPECT_EQ(TileWidthAt({0, 0}, 1), 1);
  EXPECT_EQ(TileWidthAt({0, 0}, 256), 256);
  EXPECT_EQ(TileWidthAt({0, 1}, 256), 0);
  EXPECT_EQ(TileWidthAt({0, 1}, 300), 44);
  EXPECT_EQ(TileWidthAt({kEntries, 1}, 300), 44);
  EXPECT_EQ(TileWidthAt({1, 0}, 255), 0);
  EXPECT_EQ(TileWidthAt({1, 0}, 70'000), 256);
  EXPECT_EQ(TileWidthAt({2, 0}, 70'000), 1);
  EXPECT_EQ(TileWidthAt({0, ~uint64_t{0}}, ~uint64_t{0}), 0);
  EXPECT_EQ(TileWidthAt({8, 0}, ~uint64_t{0}), 0);
}

TEST(EntryBundleTest, IsTheSameAfterDecoding) {
  const std::vector<Bytes> entries{
      {1, 2, 3}, {}, Bytes(65'535, 7), ToBytes(AsBytes("x"))};
  const auto bundle = EncodeEntryBundle(entries);
  ASSERT_TRUE(bundle);
  EXPECT_EQ(ByteSpan(*bundle).first(5).back(), 3);
  EXPECT_EQ(DecodeEntryBundle(*bundle), entries);
  EXPECT_EQ(DecodeEntryBundle({}), std::vector<Bytes>{});
}

TEST(EntryBundleTest, RejectsEntriesOverTheBounds) {
  EXPECT_FALSE(EncodeEntryBundle(std::vector<Bytes>{Bytes(65'536)}));
  EXPECT_FALSE(EncodeEntryBundle(std::vector<Bytes>(257)));
  EXPECT_TRUE(EncodeEntryBundle(std::vector<Bytes>(256)));
}

TEST(EntryBundleTest, RejectsLengthsThatDoNotFit) {
  const Bytes bundle =
      EncodeEntryBundle(std::vector<Bytes>{{1, 2, 3}, {4}}).value();
  for (size_t size = 1; size < bundle.size(); ++size) {
    if (size == 5) continue;  // The end of the first entry.
    const auto entries = DecodeEntryBundle(ByteSpan(bundle).first(size));
    ASSERT_FALSE(entries) << size;
    EXPECT_EQ(entries.error().code, ErrorCode::kStorageCorrupt);
  }
  EXPECT_FALSE(DecodeEntryBundle(Bytes(2 * 257)));
}

}  // namespace
}  // namespace countersign::ledger
