#include "attest/statement/merkle.h"

#include <bit>
#include <utility>

#include "attest/base/digest.h"
#include "attest/statement/pae.h"

namespace countersign::statement {
namespace {

using Leaves = std::span<const Sha256Digest>;

constexpr uint8_t kLeafPrefix[] = {0};
constexpr uint8_t kNodePrefix[] = {1};

// The largest power of two below n; n > 1.
size_t Split(size_t n) { return std::bit_floor(n - 1); }

// RFC 9162 §2.1.4.1. `whole`: the subtree is one that the verifier already
// has, since it is the whole of the old tree.
void AppendConsistency(Leaves leaves, size_t old_size, bool whole,
                       HashPath& proof) {
  if (old_size == leaves.size()) {
    if (!whole) proof.push_back(MerkleRoot(leaves));
    return;
  }
  const size_t k = Split(leaves.size());
  if (old_size <= k) {
    AppendConsistency(leaves.first(k), old_size, whole, proof);
    proof.push_back(MerkleRoot(leaves.subspan(k)));
  } else {
    AppendConsistency(leaves.subspan(k), old_size - k, false, proof);
    proof.push_back(MerkleRoot(leaves.first(k)));
  }
}

}  // namespace

Sha256Digest LeafHash(ByteSpan pae) { return Sha256({kLeafPrefix, pae}); }

Sha256Digest LeafHash(StatementType type, ByteSpan body) {
  const PaePrefix prefix(TypeUri(type), body.size());
  return Sha256({kLeafPrefix, prefix.bytes(), body});
}

Sha256Digest NodeHash(const Sha256Digest& left, const Sha256Digest& right) {
  return Sha256({kNodePrefix, left, right});
}

void RootBuilder::Add(const Sha256Digest& leaf) {
  peaks_.push_back(leaf);
  // After leaf i, as many subtrees merge as i ends in one bits.
  for (int merges = std::countr_one(size_); merges > 0; --merges) {
    const Sha256Digest right = peaks_.back();
    peaks_.pop_back();
    peaks_.back() = NodeHash(peaks_.back(), right);
  }
  ++size_;
}

Sha256Digest RootBuilder::Root() const {
  if (peaks_.empty()) return Sha256(ByteSpan{});
  Sha256Digest root = peaks_.back();
  for (size_t i = peaks_.size() - 1; i > 0; --i) {
    root = NodeHash(peaks_[i - 1], root);
  }
  return root;
}

Sha256Digest MerkleRoot(Leaves leaves) {
  RootBuilder builder;
  for (const Sha256Digest& leaf : leaves) builder.Add(leaf);
  return builder.Root();
}

MerkleTree::MerkleTree(HashPath leaves) {
  levels_.push_back(std::move(leaves));
  while (levels_.back().size() > 1) {
    const HashPath& below = levels_.back();
    HashPath level;
    level.reserve(below.size() / 2 + 1);
    for (size_t i = 0; i + 1 < below.size(); i += 2) {
      level.push_back(NodeHash(below[i], below[i + 1]));
    }
    if (below.size() % 2 != 0) level.push_back(below.back());
    levels_.push_back(std::move(level));
  }
}

Sha256Digest MerkleTree::root() const {
  return levels_.back().empty() ? MerkleRoot({}) : levels_.back().front();
}

HashPath MerkleTree::Path(size_t index) const {
  HashPath path;
  if (index >= levels_.front().size()) return path;
  for (const HashPath& level : levels_) {
    const size_t sibling = index ^ 1;
    if (sibling < level.size()) path.push_back(level[sibling]);
    index /= 2;
  }
  return path;
}

HashPath InclusionPath(Leaves leaves, size_t index) {
  return MerkleTree({leaves.begin(), leaves.end()}).Path(index);
}

Result<Sha256Digest> RootFromInclusionPath(const Sha256Digest& leaf,
                                           uint64_t index, uint64_t tree_size,
                                           Leaves path) {
  if (index >= tree_size) {
    return Fail(ErrorCode::kInclusionProofInvalid,
                "leaf index is not below the tree's size");
  }
  uint64_t fn = index;  // Names as in RFC 9162 §2.1.3.2.
  uint64_t sn = tree_size - 1;
  Sha256Digest root = leaf;
  for (const Sha256Digest& sibling : path) {
    if (sn == 0) {
      return Fail(ErrorCode::kInclusionProofInvalid, "path is too long");
    }
    if ((fn & 1) != 0 || fn == sn) {
      root = NodeHash(sibling, root);
      // The last node of an odd level is lifted as it is.
      while ((fn & 1) == 0 && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      root = NodeHash(root, sibling);
    }
    fn >>= 1;
    sn >>= 1;
  }
  if (sn != 0) {
    return Fail(ErrorCode::kInclusionProofInvalid, "path is too short");
  }
  return root;
}

HashPath ConsistencyPath(Leaves leaves, size_t old_size) {
  HashPath proof;
  if (old_size == 0 || old_size > leaves.size()) return proof;
  AppendConsistency(leaves, old_size, true, proof);
  return proof;
}

Status VerifyConsistency(uint64_t old_size, const Sha256Digest& old_root,
                         uint64_t new_size, const Sha256Digest& new_root,
                         Leaves proof) {
  const auto fail = [](const char* why) {
    return Fail(ErrorCode::kConsistencyInvalid, why);
  };
  if (old_size > new_size) return fail("the tree became smaller");
  if (old_size == 0 || old_size == new_size) {
    if (!proof.empty()) return fail("the proof has hashes that it needs not");
    if (old_size == 0 && old_root != MerkleRoot({})) {
      return fail("the empty tree has another root");
    }
    if (old_size == new_size && old_root != new_root) {
      return fail("the roots of one size differ");
    }
    return {};
  }
  uint64_t fn = old_size - 1;  // Names as in RFC 9162 §2.1.4.2.
  uint64_t sn = new_size - 1;
  while ((fn & 1) != 0) {
    fn >>= 1;
    sn >>= 1;
  }
  // A power of two: the old root is itself a node of the new tree.
  const bool from_old_root = fn == 0;
  if (!from_old_root && proof.empty()) return fail("the proof is too short");
  Sha256Digest fr = from_old_root ? old_root : proof.front();
  Sha256Digest sr = fr;
  for (const Sha256Digest& hash : proof.subspan(from_old_root ? 0 : 1)) {
    if (sn == 0) return fail("the proof is too long");
    if ((fn & 1) != 0 || fn == sn) {
      fr = NodeHash(hash, fr);
      sr = NodeHash(hash, sr);
      while ((fn & 1) == 0 && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      sr = NodeHash(sr, hash);
    }
    fn >>= 1;
    sn >>= 1;
  }
  if (sn != 0) return fail("the proof is too short");
  if (fr != old_root) return fail("the proof does not lead to the old root");
  if (sr != new_root) return fail("the proof does not lead to the new root");
  return {};
}

}  // namespace countersign::statement
