// Merkle trees with SHA-256 as Certificate Transparency builds them
// (RFC 9162 §2.1): one tree over the actions of a batch, one over the ledger.
//
//   leaf = SHA-256(00 ‖ PAE(type, body))     node = SHA-256(01 ‖ left ‖ right)
//
// A root does not commit to the tree's size: whoever relies on a path takes
// the size from a signed statement, never from the path's sender.
// Pure and thread-safe.
#ifndef COUNTERSIGN_ATTEST_STATEMENT_MERKLE_H_
#define COUNTERSIGN_ATTEST_STATEMENT_MERKLE_H_

#include <span>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/statement/statement.h"

namespace countersign::statement {

using HashPath = std::vector<Sha256Digest>;

[[nodiscard]] Sha256Digest LeafHash(ByteSpan pae);
[[nodiscard]] Sha256Digest LeafHash(StatementType type, ByteSpan body);
[[nodiscard]] Sha256Digest NodeHash(const Sha256Digest& left,
                                    const Sha256Digest& right);

// The root over leaf hashes that arrive one by one, in memory that grows with
// the logarithm of their number.
class RootBuilder {
 public:
  void Add(const Sha256Digest& leaf);
  [[nodiscard]] uint64_t size() const { return size_; }
  // Of what was added so far; of nothing, SHA-256 of nothing.
  [[nodiscard]] Sha256Digest Root() const;

 private:
  HashPath peaks_;  // Roots of the complete subtrees, largest first.
  uint64_t size_ = 0;
};

[[nodiscard]] Sha256Digest MerkleRoot(std::span<const Sha256Digest> leaves);

// A tree with all its nodes, for many paths from one batch.
class MerkleTree {
 public:
  explicit MerkleTree(HashPath leaves);
  [[nodiscard]] Sha256Digest root() const;
  // Path from leaf `index` to the root, nearest first. Empty, hence a proof of
  // nothing, if there is no such leaf.
  [[nodiscard]] HashPath Path(size_t index) const;

 private:
  // levels_[0] are the leaves, the last one the root alone. The odd node at
  // the end of a level is lifted into the next one as it is.
  std::vector<HashPath> levels_;
};

// One path out of a tree that is not kept: hashes the whole tree.
[[nodiscard]] HashPath InclusionPath(std::span<const Sha256Digest> leaves,
                                     size_t index);

// The root that `path` (hostile) leads to from `leaf`; the caller compares it
// with the signed one. kInclusionProofInvalid: index not below tree_size, or
// not exactly the number of hashes that this place in this tree has
// (RFC 9162 §2.1.3.2).
[[nodiscard]] Result<Sha256Digest> RootFromInclusionPath(
    const Sha256Digest& leaf, uint64_t index, uint64_t tree_size,
    std::span<const Sha256Digest> path);

// Proof that the tree of the first `old_size` leaves is a prefix of the tree
// of all. Empty unless 0 < old_size <= leaves.size().
[[nodiscard]] HashPath ConsistencyPath(std::span<const Sha256Digest> leaves,
                                       size_t old_size);

// kConsistencyInvalid unless `proof` (hostile) shows that the tree
// (old_size, old_root) is a prefix of (new_size, new_root), RFC 9162
// §2.1.4.2. Any tree extends the empty one; its proof has no hashes.
[[nodiscard]] Status VerifyConsistency(uint64_t old_size,
                                       const Sha256Digest& old_root,
                                       uint64_t new_size,
                                       const Sha256Digest& new_root,
                                       std::span<const Sha256Digest> proof);

// The hashes of `fields` (a repeated protobuf `bytes`), each exactly 32 bytes
// and at most 64 of them; else kInclusionProofInvalid.
template <typename Fields>
[[nodiscard]] Result<HashPath> HashPathFrom(const Fields& fields) {
  HashPath path;
  if (fields.size() > 64) {
    return Fail(ErrorCode::kInclusionProofInvalid, "path longer than 64");
  }
  for (const auto& field : fields) {
    const auto hash = DigestFrom(AsBytes(field), "hash of a path");
    if (!hash) {
      return Fail(ErrorCode::kInclusionProofInvalid, hash.error().detail);
    }
    path.push_back(*hash);
  }
  return path;
}

}  // namespace countersign::statement

#endif  // COUNTERSIGN_ATTEST_STATEMENT_MERKLE_H_
