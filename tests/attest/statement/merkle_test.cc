#include "attest/statement/merkle.h"

#include <gtest/gtest.h>

#include <string>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"
#include "tests/vectors/load_vectors.h"

namespace countersign::statement {
namespace {

// The actions of make_vectors.py: the index as u64be, 1 + i % 5 times.
HashPath VectorLeaves(size_t size) {
  HashPath leaves;
  for (size_t i = 0; i < size; ++i) {
    BigEndianWriter body;
    for (size_t copies = 0; copies < 1 + i % 5; ++copies) {
      body.U64(i);
    }
    leaves.push_back(LeafHash(StatementType::kAction, body.bytes()));
  }
  return leaves;
}

HashPath PathOf(const nlohmann::json& hashes) {
  HashPath path;
  for (const auto& hash : hashes) path.push_back(UnhexDigest(hash));
  return path;
}

ErrorCode CodeOf(const Sha256Digest& leaf, uint64_t index, uint64_t size,
                 const HashPath& path) {
  const auto root = RootFromInclusionPath(leaf, index, size, path);
  return root ? ErrorCode{} : root.error().code;
}

TEST(MerkleTest, ReproducesTheRootsOfTheVectors) {
  const auto vectors = LoadVectors();
  ASSERT_EQ(vectors["merkle"].size(), 13u);
  for (const auto& vector : vectors["merkle"]) {
    const HashPath leaves = VectorLeaves(vector["size"]);
    EXPECT_EQ(ToHex(leaves[0]), vector["leaf_0"]);
    EXPECT_EQ(ToHex(MerkleRoot(leaves)), vector["root"]) << vector["size"];
  }
}

TEST(MerkleTest, ReproducesThePathsOfTheVectors) {
  const auto vectors = LoadVectors();
  size_t paths = 0;
  for (const auto& vector : vectors["merkle"]) {
    const HashPath leaves = VectorLeaves(vector["size"]);
    for (const auto& item : vector["paths"].items()) {
      const size_t index = std::stoul(item.key());
      const HashPath expected = PathOf(item.value());
      EXPECT_EQ(InclusionPath(leaves, index), expected);
      EXPECT_EQ(ToHex(RootFromInclusionPath(leaves[index], index, leaves.size(),
                                            expected)
                          .value()),
                vector["root"]);
      ++paths;
    }
  }
  EXPECT_GE(paths, 30u);
}

// RFC 9162 §2.1.1: the hash of an empty list, and domain separation.
TEST(MerkleTest, HashesTheEmptyTreeAndTheLeafOfNothing) {
  EXPECT_EQ(ToHex(MerkleRoot({})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(ToHex(LeafHash(ByteSpan{})),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

TEST(MerkleTest, SeparatesLeavesFromNodes) {
  const HashPath leaves = VectorLeaves(2);
  Bytes both = ToBytes(leaves[0]);
  both.insert(both.end(), leaves[1].begin(), leaves[1].end());
  EXPECT_NE(LeafHash(ByteSpan(both)), NodeHash(leaves[0], leaves[1]));
}

TEST(MerkleTest, HashesAStatementAsItsPae) {
  EXPECT_EQ(LeafHash(StatementType::kAction, AsBytes("body")),
            LeafHash(Pae(TypeUri(StatementType::kAction), AsBytes("body"))));
}

TEST(RootBuilderTest, GivesTheRootAtEverySize) {
  const HashPath leaves = VectorLeaves(70);
  RootBuilder builder;
  for (size_t size = 0; size < leaves.size(); ++size) {
    EXPECT_EQ(builder.Root(), MerkleRoot(std::span(leaves).first(size)));
    EXPECT_EQ(builder.size(), size);
    builder.Add(leaves[size]);
  }
}

TEST(MerkleTreeTest, HasTheRootOfItsLeavesAtEverySize) {
  for (size_t size = 0; size <= 70; ++size) {
    const HashPath leaves = VectorLeaves(size);
    EXPECT_EQ(MerkleTree(leaves).root(), MerkleRoot(leaves));
  }
}

TEST(InclusionPathTest, LeadsEveryLeafOfEverySizeToTheRoot) {
  for (size_t size = 1; size <= 40; ++size) {
    const HashPath leaves = VectorLeaves(size);
    for (size_t i = 0; i < size; ++i) {
      const auto root =
          RootFromInclusionPath(leaves[i], i, size, InclusionPath(leaves, i));
      ASSERT_TRUE(root);
      EXPECT_EQ(*root, MerkleRoot(leaves));
    }
  }
}

TEST(InclusionPathTest, IsEmptyBeyondTheTree) {
  EXPECT_TRUE(InclusionPath(VectorLeaves(3), 3).empty());
}

TEST(RootFromInclusionPathTest, RejectsAnIndexBeyondTheTree) {
  const HashPath leaves = VectorLeaves(5);
  EXPECT_EQ(CodeOf(leaves[4], 5, 5, InclusionPath(leaves, 4)),
            ErrorCode::kInclusionProofInvalid);
  EXPECT_EQ(CodeOf(leaves[0], 0, 0, {}), ErrorCode::kInclusionProofInvalid);
}

TEST(RootFromInclusionPathTest, RejectsAPathOfAnotherLength) {
  for (size_t size : {1, 2, 3, 5, 8, 31}) {
    const HashPath leaves = VectorLeaves(size);
    for (size_t i = 0; i < size; ++i) {
      HashPath path = InclusionPath(leaves, i);
      path.push_back(leaves[0]);
      EXPECT_EQ(CodeOf(leaves[i], i, size, path),
                ErrorCode::kInclusionProofInvalid);
      path.pop_back();
      if (path.empty()) continue;
      path.pop_back();
      EXPECT_EQ(CodeOf(leaves[i], i, size, path),
                ErrorCode::kInclusionProofInvalid);
    }
  }
}

TEST(RootFromInclusionPathTest, LeadsElsewhereFromAnotherLeafIndexOrPath) {
  const HashPath leaves = VectorLeaves(13);
  const Sha256Digest root = MerkleRoot(leaves);
  for (size_t i = 0; i < leaves.size(); ++i) {
    const HashPath path = InclusionPath(leaves, i);
    for (size_t other = 0; other < leaves.size(); ++other) {
      if (other == i) continue;
      EXPECT_NE(RootFromInclusionPath(leaves[other], i, 13, path), root);
      EXPECT_NE(RootFromInclusionPath(leaves[i], other, 13, path), root);
    }
    for (size_t k = 0; k < path.size(); ++k) {
      HashPath changed = path;
      changed[k][31] ^= 1;
      EXPECT_NE(RootFromInclusionPath(leaves[i], i, 13, changed), root);
    }
  }
}

// Why tree_size must come from a signed statement: the root does not commit to
// it. The last leaf of three is also "leaf 1 of 2", and of five as well.
TEST(RootFromInclusionPathTest, CannotTellSizesApartByTheRootAlone) {
  for (size_t size : {3, 5}) {
    const HashPath leaves = VectorLeaves(size);
    const HashPath path = InclusionPath(leaves, size - 1);
    EXPECT_EQ(RootFromInclusionPath(leaves.back(), size - 1, size, path),
              MerkleRoot(leaves));
    EXPECT_EQ(RootFromInclusionPath(leaves.back(), 1, 2, path),
              MerkleRoot(leaves));
  }
}

TEST(HashPathFromTest, TakesHashesAndRejectsOtherFields) {
  const std::string hash(32, 'h');
  EXPECT_EQ(HashPathFrom(std::vector<std::string>{hash, hash})->size(), 2u);
  EXPECT_FALSE(HashPathFrom(std::vector<std::string>{hash, "short"}));
  EXPECT_FALSE(HashPathFrom(std::vector<std::string>{hash + "1"}));
  EXPECT_FALSE(HashPathFrom(std::vector<std::string>(65, hash)));
}

}  // namespace
}  // namespace countersign::statement
