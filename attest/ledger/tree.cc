#include "attest/ledger/tree.h"

#include <bit>
#include <utility>

namespace countersign::ledger {
namespace {

using statement::HashPath;
using statement::NodeHash;

constexpr size_t kHashSize = sizeof(Sha256Digest);

HashPath SplitHashes(ByteSpan data) {
  HashPath hashes(data.size() / kHashSize);
  for (size_t i = 0; i < hashes.size(); ++i) {
    std::ranges::copy(data.subspan(i * kHashSize, kHashSize),
                      hashes[i].begin());
  }
  return hashes;
}

// Hashes of subtrees of one tree, read tile by tile; each tile once.
class Subtrees {
 public:
  Subtrees(const TileStore& store, uint64_t size)
      : store_(store), size_(size) {}

  // Of the complete subtree that holds leaves [index << level, …).
  Result<Sha256Digest> Complete(int level, uint64_t index) {
    const int tile_level = level / kTileHeight;
    const int above = level % kTileHeight;
    const uint64_t first = index << above;
    const TileId id{tile_level, first / kTileWidth};
    CS_ASSIGN_OR_RETURN(const HashPath* tile, Load(id));
    const std::span<const Sha256Digest> hashes(*tile);
    const size_t offset = first % kTileWidth;
    const size_t count = size_t{1} << above;
    if (offset + count > hashes.size()) {
      return Fail(ErrorCode::kBadRequest, "beyond the tree");
    }
    return statement::MerkleRoot(hashes.subspan(offset, count));
  }

  // Of leaves [first, end), RFC 9162 §2.1.1; not empty.
  Result<Sha256Digest> Range(uint64_t first, uint64_t end) {
    const uint64_t count = end - first;
    if (std::has_single_bit(count)) {
      const int level = std::countr_zero(count);
      return Complete(level, first >> level);
    }
    const uint64_t middle = first + std::bit_floor(count);
    CS_ASSIGN_OR_RETURN(const Sha256Digest left, Range(first, middle));
    CS_ASSIGN_OR_RETURN(const Sha256Digest right, Range(middle, end));
    return NodeHash(left, right);
  }

 private:
  Result<const HashPath*> Load(const TileId& id) {
    if (const auto found = tiles_.find(id); found != tiles_.end()) {
      return &found->second;
    }
    const int width = TileWidthAt(id, size_);
    if (width == 0) return Fail(ErrorCode::kBadRequest, "beyond the tree");
    CS_ASSIGN_OR_RETURN(const Bytes data, store_.ReadTile(id, width));
    const size_t needed = static_cast<size_t>(width) * kHashSize;
    if (data.size() < needed) {
      return Fail(ErrorCode::kStorageCorrupt,
                  "too few hashes in " + TilePath(id, width));
    }
    const auto added =
        tiles_.emplace(id, SplitHashes(ByteSpan(data).first(needed)));
    return &added.first->second;
  }

  const TileStore& store_;
  uint64_t size_;
  std::map<TileId, HashPath> tiles_;
};

// New tiles over stored ones.
class Overlay final : public TileStore {
 public:
  Overlay(const TileStore& below, std::span<const Tile> tiles) : below_(below) {
    for (const Tile& tile : tiles) tiles_.emplace(tile.id, &tile);
  }
  Result<Bytes> ReadTile(const TileId& id, int width) const override {
    const auto found = tiles_.find(id);
    if (found == tiles_.end()) return below_.ReadTile(id, width);
    return found->second->data;
  }

 private:
  const TileStore& below_;
  std::map<TileId, const Tile*> tiles_;
};

// The largest power of two below `count`; count > 1.
uint64_t Split(uint64_t count) { return std::bit_floor(count - 1); }

// RFC 9162 §2.1.3.1 over leaves [first, end).
Status AppendInclusion(Subtrees& subtrees, uint64_t first, uint64_t end,
                       uint64_t index, HashPath& path) {
  if (end - first == 1) return {};
  const uint64_t middle = first + Split(end - first);
  const bool left = index < middle;
  CS_RETURN_IF_ERROR(AppendInclusion(subtrees, left ? first : middle,
                                     left ? middle : end, index, path));
  CS_ASSIGN_OR_RETURN(
      const Sha256Digest sibling,
      left ? subtrees.Range(middle, end) : subtrees.Range(first, middle));
  path.push_back(sibling);
  return {};
}

// RFC 9162 §2.1.4.1 over leaves [first, end), of which those below `old_end`
// are old. `whole`: this subtree is all of the old tree.
Status AppendConsistency(Subtrees& subtrees, uint64_t first, uint64_t end,
                         uint64_t old_end, bool whole, HashPath& proof) {
  if (old_end == end) {
    if (whole) return {};
    CS_ASSIGN_OR_RETURN(const Sha256Digest hash, subtrees.Range(first, end));
    proof.push_back(hash);
    return {};
  }
  const uint64_t middle = first + Split(end - first);
  const bool left = old_end <= middle;
  CS_RETURN_IF_ERROR(AppendConsistency(subtrees, left ? first : middle,
                                       left ? middle : end, old_end,
                                       left && whole, proof));
  CS_ASSIGN_OR_RETURN(
      const Sha256Digest other,
      left ? subtrees.Range(middle, end) : subtrees.Range(first, middle));
  proof.push_back(other);
  return {};
}

// Adds `hashes` to the tiles of one level that already has `count` of them.
// Returns the roots of the tiles that became full: the level above.
Result<HashPath> GrowLevel(const TileStore& store, int level, uint64_t count,
                           std::span<const Sha256Digest> hashes,
                           std::vector<Tile>& tiles) {
  HashPath full;
  Tile tile{{level, count / kTileWidth}, 0, {}};
  tile.width = static_cast<int>(count % kTileWidth);
  if (tile.width > 0) {
    CS_ASSIGN_OR_RETURN(tile.data, store.ReadTile(tile.id, tile.width));
    const size_t needed = static_cast<size_t>(tile.width) * kHashSize;
    if (tile.data.size() < needed) {
      return Fail(ErrorCode::kStorageCorrupt,
                  "too few hashes in " + TilePath(tile.id, tile.width));
    }
    tile.data.resize(needed);
  }
  for (const Sha256Digest& hash : hashes) {
    tile.data.insert(tile.data.end(), hash.begin(), hash.end());
    if (++tile.width < static_cast<int>(kTileWidth)) continue;
    full.push_back(statement::MerkleRoot(SplitHashes(tile.data)));
    const TileId next{level, tile.id.index + 1};
    tiles.push_back(std::exchange(tile, Tile{next, 0, {}}));
  }
  if (tile.width > 0) tiles.push_back(std::move(tile));
  return full;
}

}  // namespace

Result<TreeUpdate> Tree::Append(std::span<const Sha256Digest> leaves) const {
  TreeUpdate update;
  HashPath grown(leaves.begin(), leaves.end());
  for (int level = 0; level <= kMaxTileLevel && !grown.empty(); ++level) {
    const uint64_t count = size_ >> (level * kTileHeight);
    CS_ASSIGN_OR_RETURN(grown,
                        GrowLevel(store_, level, count, grown, update.tiles));
  }
  const Overlay overlay(store_, update.tiles);
  update.head.size = size_ + leaves.size();
  CS_ASSIGN_OR_RETURN(update.head.root, Tree(overlay, update.head.size).Root());
  return update;
}

Result<Sha256Digest> Tree::Root() const {
  if (size_ == 0) return statement::MerkleRoot({});
  return Subtrees(store_, size_).Range(0, size_);
}

Result<Sha256Digest> Tree::LeafAt(uint64_t index) const {
  return Subtrees(store_, size_).Complete(0, index);
}

Result<HashPath> Tree::InclusionProof(uint64_t index) const {
  if (index >= size_) {
    return Fail(ErrorCode::kBadRequest, "index is not below the tree's size");
  }
  Subtrees subtrees(store_, size_);
  HashPath path;
  CS_RETURN_IF_ERROR(AppendInclusion(subtrees, 0, size_, index, path));
  return path;
}

Result<HashPath> Tree::ConsistencyProof(uint64_t old_size) const {
  if (old_size > size_) {
    return Fail(ErrorCode::kBadRequest, "the tree is smaller than that");
  }
  HashPath proof;
  if (old_size == 0) return proof;
  Subtrees subtrees(store_, size_);
  CS_RETURN_IF_ERROR(
      AppendConsistency(subtrees, 0, size_, old_size, true, proof));
  return proof;
}

}  // namespace countersign::ledger
