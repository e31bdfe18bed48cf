// A ledger in memory, whose every part a test may tamper with.
#ifndef COUNTERSIGN_TESTS_ATTEST_LEDGER_MEMORY_LEDGER_H_
#define COUNTERSIGN_TESTS_ATTEST_LEDGER_MEMORY_LEDGER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attest/ledger/audit.h"
#include "attest/ledger/head_guard.h"

namespace countersign::ledger {

class MemoryTiles final : public TileStore {
 public:
  Result<Bytes> ReadTile(const TileId& id, int) const override {
    ++reads;
    const auto found = tiles.find(id);
    if (found == tiles.end()) {
      return Fail(ErrorCode::kNotFound, TilePath(id));
    }
    return found->second;
  }

  std::map<TileId, Bytes> tiles;
  mutable int reads = 0;
};

class MemoryGuard final : public HeadGuard {
 public:
  Result<std::optional<TreeHead>> Load() override {
    if (broken) return Fail(ErrorCode::kIoError, "cannot read the head");
    return head;
  }
  Status Store(const TreeHead& next) override {
    if (full) return Fail(ErrorCode::kDiskFull, "cannot keep the head");
    head = next;
    return {};
  }

  std::optional<TreeHead> head;
  bool broken = false;
  bool full = false;
};

class MemoryLedger final : public EntryReader {
 public:
  Result<std::optional<Bytes>> ReadEntry(uint64_t index) override {
    if (index >= entries.size()) return std::optional<Bytes>();
    return std::optional<Bytes>(entries[index]);
  }

  void Append(size_t count, const std::string& text = "entry ") {
    std::vector<Sha256Digest> leaves;
    for (size_t i = 0; i < count; ++i) {
      const std::string entry = text + std::to_string(entries.size());
      entries.push_back(ToBytes(AsBytes(entry)));
      leaves.push_back(statement::LeafHash(AsBytes(entry)));
    }
    const TreeUpdate update = Tree(tiles, head.size).Append(leaves).value();
    for (const Tile& tile : update.tiles) tiles.tiles[tile.id] = tile.data;
    head = update.head;
  }

  std::vector<Sha256Digest> Leaves() const {
    std::vector<Sha256Digest> leaves;
    for (const Bytes& entry : entries) {
      leaves.push_back(statement::LeafHash(ByteSpan(entry)));
    }
    return leaves;
  }

  std::string Checkpoint(const LedgerKey& key) const {
    return SignCheckpoint({key.verifier().name(), head}, key).value();
  }

  std::vector<Bytes> entries;
  MemoryTiles tiles;
  TreeHead head{0, statement::MerkleRoot({})};
};

}  // namespace countersign::ledger

#endif  // COUNTERSIGN_TESTS_ATTEST_LEDGER_MEMORY_LEDGER_H_
