// The ledger's Merkle tree (RFC 9162 §2.1) over stored tiles: append, roots
// and proofs. Reads only the tiles it needs; keeps nothing between calls.
//
// An entry's leaf hash is SHA-256(00 ‖ PAE bytes of the LedgerEntry): see
// statement/merkle.h. Proofs are checked there as well.
#ifndef COUNTERSIGN_ATTEST_LEDGER_TREE_H_
#define COUNTERSIGN_ATTEST_LEDGER_TREE_H_

#include <map>
#include <span>
#include <vector>

#include "attest/ledger/checkpoint.h"
#include "attest/ledger/tiles.h"
#include "attest/statement/merkle.h"

namespace countersign::ledger {

// Where tiles are kept: a database table in the service, a folder or HTTP
// elsewhere. Not trusted: a changed tile makes a wrong root, never a crash.
class TileStore {
 public:
  virtual ~TileStore() = default;
  // The hashes of tile `id`, 32 bytes each: at least `width` of them; more
  // are ignored. kStorageCorrupt or kNotFound if it is not there.
  [[nodiscard]] virtual Result<Bytes> ReadTile(const TileId& id,
                                               int width) const = 0;
};

struct TreeUpdate {
  TreeHead head;            // After the append.
  std::vector<Tile> tiles;  // New or grown; each replaces its narrower self.
};

class Tree {
 public:
  // The tree of the first `size` leaves in `store`, which must outlive it.
  Tree(const TileStore& store, uint64_t size) : store_(store), size_(size) {}

  [[nodiscard]] uint64_t size() const { return size_; }

  // What changes when `leaves` are appended. Writes nothing: the caller
  // stores tiles and head in one transaction.
  [[nodiscard]] Result<TreeUpdate> Append(
      std::span<const Sha256Digest> leaves) const;

  [[nodiscard]] Result<Sha256Digest> Root() const;
  [[nodiscard]] Result<Sha256Digest> LeafAt(uint64_t index) const;
  // kBadRequest: index not below size().
  [[nodiscard]] Result<statement::HashPath> InclusionProof(
      uint64_t index) const;
  // That the tree of `old_size` leaves is a prefix of this one. kBadRequest:
  // old_size is beyond size().
  [[nodiscard]] Result<statement::HashPath> ConsistencyProof(
      uint64_t old_size) const;

 private:
  const TileStore& store_;
  uint64_t size_;
};

}  // namespace countersign::ledger

#endif  // COUNTERSIGN_ATTEST_LEDGER_TREE_H_
