// Tiles and entry bundles (C2SP tlog-tiles): how the ledger is stored and
// published, as files that never change once full.
//
// A tile of level L holds up to 256 consecutive hashes of subtrees of 256^L
// leaves; an entry bundle holds the 256 entries below a tile of level 0.
#ifndef COUNTERSIGN_ATTEST_LEDGER_TILES_H_
#define COUNTERSIGN_ATTEST_LEDGER_TILES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/bytes.h"

namespace countersign::ledger {

inline constexpr uint64_t kTileWidth = 256;
inline constexpr int kTileHeight = 8;  // 2^8 hashes a tile.
inline constexpr int kMaxTileLevel = 7;

struct TileId {
  int level = 0;  // kEntries for an entry bundle.
  uint64_t index = 0;
  auto operator<=>(const TileId&) const = default;
};
inline constexpr int kEntries = -1;

struct Tile {
  TileId id;
  int width = kTileWidth;  // Hashes or entries in it, 1 to 256.
  Bytes data;              // width * 32 bytes, or an entry bundle.
};

// How wide tile `id` is in a tree of `tree_size` leaves: 0 to 256.
[[nodiscard]] int TileWidthAt(const TileId& id, uint64_t tree_size);

// "tile/0/x001/x234/067", "tile/1/000.p/5", "tile/entries/x001/234".
[[nodiscard]] std::string TilePath(const TileId& id, int width = kTileWidth);

struct TileName {
  TileId id;
  int width = kTileWidth;
};
// Parses what follows the log's prefix in a URL; hostile. One text for each
// tile: kBadRequest for anything that TilePath would not have written.
[[nodiscard]] Result<TileName> ParseTilePath(std::string_view path);

// Each entry with its length as a big-endian u16 before it. kTooLarge: an
// entry over 65,535 bytes, or more than 256 of them.
[[nodiscard]] Result<Bytes> EncodeEntryBundle(std::span<const Bytes> entries);
// kStorageCorrupt: lengths that do not fit, more than 256 entries.
[[nodiscard]] Result<std::vector<Bytes>> DecodeEntryBundle(ByteSpan bundle);

}  // namespace countersign::ledger

#endif  // COUNTERSIGN_ATTEST_LEDGER_TILES_H_
