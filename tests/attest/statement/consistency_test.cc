#include <gtest/gtest.h>

#include <string>

#include "attest/base/big_endian.h"
#include "attest/statement/merkle.h"
#include "tests/vectors/load_vectors.h"

namespace countersign::statement {
namespace {

HashPath Leaves(size_t size) {
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

Sha256Digest RootAt(const HashPath& leaves, size_t size) {
  return MerkleRoot(std::span(leaves).first(size));
}

bool Rejects(const HashPath& leaves, size_t old_size, const HashPath& proof) {
  const Status status =
      VerifyConsistency(old_size, RootAt(leaves, old_size), leaves.size(),
                        MerkleRoot(leaves), proof);
  return !status && status.error().code == ErrorCode::kConsistencyInvalid;
}

TEST(ConsistencyTest, ReproducesTheProofsOfTheVectors) {
  const auto vectors = LoadVectors();
  size_t proofs = 0;
  for (const auto& vector : vectors["merkle"]) {
    const HashPath leaves = Leaves(vector["size"]);
    for (const auto& item : vector["consistency"].items()) {
      HashPath expected;
      for (const auto& hash : item.value()) {
        expected.push_back(UnhexDigest(hash));
      }
      EXPECT_EQ(ConsistencyPath(leaves, std::stoul(item.key())), expected);
      ++proofs;
    }
  }
  EXPECT_GE(proofs, 20u);
}

TEST(VerifyConsistencyTest, AcceptsEveryPrefixOfEverySize) {
  for (size_t size = 1; size <= 40; ++size) {
    const HashPath leaves = Leaves(size);
    for (size_t old_size = 1; old_size <= size; ++old_size) {
      EXPECT_TRUE(VerifyConsistency(old_size, RootAt(leaves, old_size), size,
                                    MerkleRoot(leaves),
                                    ConsistencyPath(leaves, old_size)))
          << old_size << " of " << size;
    }
  }
}

TEST(VerifyConsistencyTest, TakesAnyTreeAsAnExtensionOfTheEmptyOne) {
  const HashPath leaves = Leaves(3);
  EXPECT_TRUE(VerifyConsistency(0, MerkleRoot({}), 3, MerkleRoot(leaves), {}));
  EXPECT_TRUE(VerifyConsistency(0, MerkleRoot({}), 0, MerkleRoot({}), {}));
  EXPECT_FALSE(VerifyConsistency(0, leaves[0], 3, MerkleRoot(leaves), {}));
  EXPECT_FALSE(VerifyConsistency(0, MerkleRoot({}), 0, leaves[0], {}));
}

TEST(VerifyConsistencyTest, RejectsATreeThatBecameSmaller) {
  const HashPath leaves = Leaves(8);
  EXPECT_FALSE(VerifyConsistency(8, MerkleRoot(leaves), 4, RootAt(leaves, 4),
                                 ConsistencyPath(leaves, 4)));
}

TEST(VerifyConsistencyTest, RejectsTwoRootsOfOneSize) {
  const HashPath leaves = Leaves(4);
  EXPECT_FALSE(
      VerifyConsistency(4, leaves[0], 4, MerkleRoot(leaves), HashPath{}));
}

TEST(VerifyConsistencyTest, RejectsAnotherOldOrNewRoot) {
  const HashPath leaves = Leaves(11);
  for (size_t old_size = 1; old_size < 11; ++old_size) {
    const HashPath proof = ConsistencyPath(leaves, old_size);
    EXPECT_FALSE(
        VerifyConsistency(old_size, leaves[10], 11, MerkleRoot(leaves), proof));
    EXPECT_FALSE(VerifyConsistency(old_size, RootAt(leaves, old_size), 11,
                                   leaves[10], proof));
  }
}

TEST(VerifyConsistencyTest, RejectsAProofOfAnotherLength) {
  const HashPath leaves = Leaves(13);
  for (size_t old_size = 1; old_size <= 13; ++old_size) {
    HashPath proof = ConsistencyPath(leaves, old_size);
    proof.push_back(leaves[0]);
    EXPECT_TRUE(Rejects(leaves, old_size, proof)) << old_size;
    proof.pop_back();
    if (proof.empty()) continue;
    proof.pop_back();
    EXPECT_TRUE(Rejects(leaves, old_size, proof)) << old_size;
    EXPECT_TRUE(Rejects(leaves, old_size, {})) << old_size;
  }
}

TEST(VerifyConsistencyTest, RejectsAnyChangedHash) {
  const HashPath leaves = Leaves(13);
  for (size_t old_size = 1; old_size < 13; ++old_size) {
    const HashPath proof = ConsistencyPath(leaves, old_size);
    for (size_t i = 0; i < proof.size(); ++i) {
      HashPath changed = proof;
      changed[i][0] ^= 0x80;
      EXPECT_TRUE(Rejects(leaves, old_size, changed)) << old_size;
    }
  }
}

TEST(VerifyConsistencyTest, RejectsAHistoryThatWasRewritten) {
  HashPath leaves = Leaves(20);
  const Sha256Digest before = RootAt(leaves, 10);
  leaves[3] = leaves[4];
  EXPECT_FALSE(VerifyConsistency(10, before, 20, MerkleRoot(leaves),
                                 ConsistencyPath(leaves, 10)));
}

}  // namespace
}  // namespace countersign::statement
