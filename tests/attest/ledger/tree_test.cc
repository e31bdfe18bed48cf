#include "attest/ledger/tree.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/attest/ledger/memory_ledger.h"

namespace countersign::ledger {
namespace {

using statement::MerkleRoot;
using statement::RootFromInclusionPath;
using statement::VerifyConsistency;

// Sizes around every boundary of tiles, up to the third level.
constexpr size_t kSizes[] = {1,   2,   3,   127, 255,   256,   257,   300,
                             511, 512, 513, 700, 65535, 65536, 65537, 66000};

class TreeTest : public testing::Test {
 protected:
  MemoryLedger ledger_;
};

TEST_F(TreeTest, HasTheRootOfRfc9162AtEverySize) {
  const std::vector<Sha256Digest> all = [this] {
    MemoryLedger full;
    full.Append(kSizes[std::size(kSizes) - 1]);
    return full.Leaves();
  }();
  for (size_t size : kSizes) {
    ledger_.Append(size - ledger_.head.size);
    const Sha256Digest expected = MerkleRoot(std::span(all).first(size));
    EXPECT_EQ(ledger_.head.size, size);
    EXPECT_EQ(ledger_.head.root, expected) << size;
    EXPECT_EQ(Tree(ledger_.tiles, size).Root(), expected) << size;
  }
  // Earlier roots, from tiles that have grown since.
  for (size_t size : kSizes) {
    EXPECT_EQ(Tree(ledger_.tiles, size).Root(),
              MerkleRoot(std::span(all).first(size)));
  }
  EXPECT_EQ(Tree(ledger_.tiles, 0).Root(), MerkleRoot({}));
}

TEST_F(TreeTest, GrowsToTheSameTilesHoweverItIsAppendedTo) {
  ledger_.Append(1500);
  MemoryLedger slowly;
  for (size_t step = 1; slowly.head.size < 1500; step = step * 2 % 97 + 1) {
    slowly.Append(std::min<size_t>(step, 1500 - slowly.head.size));
  }
  EXPECT_EQ(slowly.tiles.tiles, ledger_.tiles.tiles);
  EXPECT_EQ(slowly.head, ledger_.head);
}

TEST_F(TreeTest, WritesOnlyTheTilesThatChange) {
  ledger_.Append(600);
  const auto update =
      Tree(ledger_.tiles, 600).Append(std::vector<Sha256Digest>(1));
  ASSERT_TRUE(update);
  ASSERT_EQ(update->tiles.size(), 1u);
  EXPECT_EQ(update->tiles[0].id, (TileId{0, 2}));
  EXPECT_EQ(update->tiles[0].width, 600 - 512 + 1);
  const auto full =
      Tree(ledger_.tiles, 600).Append(std::vector<Sha256Digest>(168));
  ASSERT_EQ(full->tiles.size(), 2u);
  EXPECT_EQ(full->tiles[1].id, (TileId{1, 0}));
  EXPECT_EQ(full->tiles[1].width, 3);
}

TEST_F(TreeTest, ChangesNothingWhenNothingIsAppended) {
  ledger_.Append(5);
  const auto update = Tree(ledger_.tiles, 5).Append({});
  ASSERT_TRUE(update);
  EXPECT_TRUE(update->tiles.empty());
  EXPECT_EQ(update->head, ledger_.head);
}

TEST_F(TreeTest, ProvesInclusionOfEveryKindOfPlace) {
  ledger_.Append(66'000);
  const auto leaves = ledger_.Leaves();
  for (size_t size : kSizes) {
    const Tree tree(ledger_.tiles, size);
    const Sha256Digest root = tree.Root().value();
    for (uint64_t index : {size_t{0}, size / 3, size / 2, size - 1}) {
      const auto path = tree.InclusionProof(index);
      ASSERT_TRUE(path) << path.error().detail;
      EXPECT_EQ(RootFromInclusionPath(leaves[index], index, size, *path), root);
      EXPECT_EQ(tree.LeafAt(index), leaves[index]);
    }
  }
}

TEST_F(TreeTest, ProvesTheSamePathsAsTheLeavesThemselves) {
  ledger_.Append(520);
  const auto leaves = ledger_.Leaves();
  const Tree tree(ledger_.tiles, 520);
  for (size_t i = 0; i < 520; i += 13) {
    EXPECT_EQ(tree.InclusionProof(i), statement::InclusionPath(leaves, i));
    EXPECT_EQ(tree.ConsistencyProof(i + 1),
              statement::ConsistencyPath(leaves, i + 1));
  }
}

TEST_F(TreeTest, ProvesConsistencyBetweenAllSizes) {
  ledger_.Append(66'000);
  for (size_t new_size : kSizes) {
    const Tree tree(ledger_.tiles, new_size);
    const Sha256Digest new_root = tree.Root().value();
    for (size_t old_size : kSizes) {
      if (old_size > new_size) continue;
      const auto proof = tree.ConsistencyProof(old_size);
      ASSERT_TRUE(proof);
      EXPECT_TRUE(VerifyConsistency(
          old_size, Tree(ledger_.tiles, old_size).Root().value(), new_size,
          new_root, *proof));
    }
    EXPECT_EQ(tree.ConsistencyProof(0), statement::HashPath{});
  }
}

TEST_F(TreeTest, ReadsFewTilesForAProof) {
  ledger_.Append(66'000);
  ledger_.tiles.reads = 0;
  ASSERT_TRUE(Tree(ledger_.tiles, 66'000).InclusionProof(30'000));
  EXPECT_LE(ledger_.tiles.reads, 6);
}

TEST_F(TreeTest, RejectsPlacesBeyondTheTree) {
  ledger_.Append(300);
  const Tree tree(ledger_.tiles, 300);
  for (uint64_t index : {uint64_t{300}, uint64_t{512}, ~uint64_t{0}}) {
    EXPECT_EQ(tree.InclusionProof(index).error().code, ErrorCode::kBadRequest);
    EXPECT_EQ(tree.LeafAt(index).error().code, ErrorCode::kBadRequest);
  }
  EXPECT_EQ(tree.ConsistencyProof(301).error().code, ErrorCode::kBadRequest);
}

TEST_F(TreeTest, ReportsAMissingOrShortTile) {
  ledger_.Append(600);
  const Bytes whole = ledger_.tiles.tiles[{0, 2}];
  ledger_.tiles.tiles[{0, 2}].resize(whole.size() - 1);
  const Tree tree(ledger_.tiles, 600);
  EXPECT_EQ(tree.Root().error().code, ErrorCode::kStorageCorrupt);
  EXPECT_EQ(tree.Append(std::vector<Sha256Digest>(1)).error().code,
            ErrorCode::kStorageCorrupt);
  ledger_.tiles.tiles.erase({0, 2});
  EXPECT_EQ(tree.Root().error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(tree.InclusionProof(599));
}

}  // namespace
}  // namespace countersign::ledger
