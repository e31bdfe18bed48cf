#include "attest/ledger/tiles.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "attest/base/big_endian.h"

namespace countersign::ledger {
namespace {

constexpr size_t kMaxEntrySize = std::numeric_limits<uint16_t>::max();
constexpr size_t kGroup = 3;      // Decimal digits a path element.
constexpr size_t kMaxGroups = 6;  // Indices below 10^18.

tl::unexpected<Error> NotATile() {
  return Fail(ErrorCode::kBadRequest, "not the path of a tile");
}

// Takes `prefix` off `text`.
bool Take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes up to `max_digits` decimal digits off `text`.
bool TakeNumber(std::string_view& text, size_t max_digits, uint64_t& number) {
  const std::string_view digits = text.substr(0, max_digits);
  const auto parsed =
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(parsed.ptr - digits.data()));
  return true;
}

bool TakeIndex(std::string_view& text, uint64_t& index) {
  index = 0;
  for (size_t groups = 1; groups <= kMaxGroups; ++groups) {
    const bool more = Take(text, "x");
    uint64_t group = 0;
    if (!TakeNumber(text, kGroup, group)) return false;
    index = index * 1000 + group;
    if (!more) return true;
    if (!Take(text, "/")) return false;
  }
  return false;
}

std::string ThreeDigits(uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kGroup - digits.size(), '0') + digits;
}

}  // namespace

int TileWidthAt(const TileId& id, uint64_t tree_size) {
  const int level = std::max(id.level, 0);  // Entries lie beside level 0.
  const uint64_t hashes =
      level > kMaxTileLevel ? 0 : tree_size >> (level * kTileHeight);
  if (id.index > hashes / kTileWidth) return 0;
  return static_cast<int>(std::min(hashes - id.index * kTileWidth, kTileWidth));
}

std::string TilePath(const TileId& id, int width) {
  std::string digits = ThreeDigits(id.index % 1000);
  for (uint64_t rest = id.index / 1000; rest > 0; rest /= 1000) {
    digits = "x" + ThreeDigits(rest % 1000) + "/" + digits;
  }
  std::string path = "tile/";
  path += id.level == kEntries ? "entries" : std::to_string(id.level);
  path += "/" + digits;
  if (width != kTileWidth) path += ".p/" + std::to_string(width);
  return path;
}

Result<TileName> ParseTilePath(std::string_view path) {
  TileName name;
  std::string_view rest = path;
  uint64_t level = 0;
  uint64_t width = kTileWidth;
  if (!Take(rest, "tile/")) return NotATile();
  if (Take(rest, "entries")) {
    name.id.level = kEntries;
  } else if (TakeNumber(rest, 1, level) && level <= kMaxTileLevel) {
    name.id.level = static_cast<int>(level);
  } else {
    return NotATile();
  }
  if (!Take(rest, "/") || !TakeIndex(rest, name.id.index)) return NotATile();
  if (Take(rest, ".p/") &&
      (!TakeNumber(rest, kGroup, width) || width == 0 || width >= kTileWidth)) {
    return NotATile();
  }
  name.width = static_cast<int>(width);
  // Leading zeros, needless groups and trailing text all show here.
  if (TilePath(name.id, name.width) != path) return NotATile();
  return name;
}

Result<Bytes> EncodeEntryBundle(std::span<const Bytes> entries) {
  if (entries.size() > kTileWidth) {
    return Fail(ErrorCode::kTooLarge, "more than 256 entries");
  }
  BigEndianWriter writer;
  for (const Bytes& entry : entries) {
    if (entry.size() > kMaxEntrySize) {
      return Fail(ErrorCode::kTooLarge, "entry is over 65,535 bytes");
    }
    writer.Sized16(entry);
  }
  return std::move(writer).bytes();
}

Result<std::vector<Bytes>> DecodeEntryBundle(ByteSpan bundle) {
  std::vector<Bytes> entries;
  BigEndianReader reader(bundle);
  while (!reader.AtEnd()) {
    entries.push_back(ToBytes(reader.Sized16(kMaxEntrySize)));
    if (!reader.ok() || entries.size() > kTileWidth) {
      return Fail(ErrorCode::kStorageCorrupt, "entry bundle is malformed");
    }
  }
  return entries;
}

}  // namespace countersign::ledger
