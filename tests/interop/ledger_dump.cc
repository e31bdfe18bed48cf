// Writes a small ledger as a mirror of it would look, for verify.go to check:
//   ledger_dump DIR
// DIR gets ledger.vkey, checkpoint, checkpoint.old, the tiles and entry
// bundles at their C2SP paths, and proofs as lines of base64 hashes in
// inclusion/INDEX and consistency/OLD_SIZE.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "attest/ledger/head_guard.h"
#include "attest/statement/statement.h"
#include "countersign/v1/statements.pb.h"
#include "tests/attest/ledger/memory_ledger.h"

namespace countersign::ledger {
namespace {

namespace fs = std::filesystem;

// Past one full tile of level 1, so that three levels are read.
constexpr uint64_t kOldSize = 700;
constexpr uint64_t kSize = 66'000;

void Write(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

Bytes Entry(uint64_t index) {
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_DECISION);
  entry.set_service_time_ms(1'900'000'000'000 + static_cast<int64_t>(index));
  entry.set_decision(index % 2 == 0 ? "permit" : "deny");
  return statement::Pae(
      statement::TypeUri(statement::StatementType::kLedgerEntry),
      statement::SerializeStatement(entry));
}

void Grow(MemoryLedger& ledger, uint64_t size) {
  std::vector<Sha256Digest> leaves;
  while (ledger.entries.size() < size) {
    ledger.entries.push_back(Entry(ledger.entries.size()));
    leaves.push_back(statement::LeafHash(ByteSpan(ledger.entries.back())));
  }
  const auto update = Tree(ledger.tiles, ledger.head.size).Append(leaves);
  for (const Tile& tile : update.value().tiles) {
    ledger.tiles.tiles[tile.id] = tile.data;
  }
  ledger.head = update->head;
}

std::string Lines(const statement::HashPath& path) {
  std::string text;
  for (const Sha256Digest& hash : path) text += ToBase64(hash) + "\n";
  return text;
}

void DumpTiles(const MemoryLedger& ledger, const fs::path& dir) {
  for (const auto& [id, data] : ledger.tiles.tiles) {
    const int width = TileWidthAt(id, ledger.head.size);
    Write(dir / TilePath(id, width), AsString(data));
  }
  const std::span<const Bytes> entries(ledger.entries);
  for (uint64_t first = 0; first < entries.size(); first += kTileWidth) {
    const TileId id{kEntries, first / kTileWidth};
    const int width = TileWidthAt(id, ledger.head.size);
    const auto bundle =
        EncodeEntryBundle(entries.subspan(first, static_cast<size_t>(width)));
    Write(dir / TilePath(id, width), AsString(bundle.value()));
  }
}

void DumpProofs(const MemoryLedger& ledger, const fs::path& dir) {
  const Tree tree(ledger.tiles, kSize);
  for (uint64_t index : {uint64_t{0}, uint64_t{255}, uint64_t{256},
                         uint64_t{40'000}, uint64_t{65'535}, kSize - 1}) {
    Write(dir / "inclusion" / std::to_string(index),
          Lines(tree.InclusionProof(index).value()));
  }
  for (uint64_t old_size : {uint64_t{1}, uint64_t{256}, kOldSize,
                            uint64_t{65'536}, uint64_t{65'999}}) {
    Write(dir / "consistency" / std::to_string(old_size),
          Lines(tree.ConsistencyProof(old_size).value()));
  }
}

void Dump(const fs::path& dir) {
  const auto key = LedgerKey::Generate("log.example/interop").value();
  MemoryGuard guard;
  MemoryLedger ledger;
  Write(dir / "ledger.vkey", key.verifier().ToVkey());
  for (const auto& [size, name] : {std::pair{kOldSize, "checkpoint.old"},
                                   std::pair{kSize, "checkpoint"}}) {
    Grow(ledger, size);
    Write(dir / name, ExtendHead(Tree(ledger.tiles, size), key, guard).value());
  }
  DumpTiles(ledger, dir);
  DumpProofs(ledger, dir);
}

}  // namespace
}  // namespace countersign::ledger

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: ledger_dump DIR\n";
    return 2;
  }
  countersign::ledger::Dump(argv[1]);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "ledger_dump: " << error.what() << "\n";
  return 1;
}
