// Paths of tiles, as they come in a URL, and entry bundles.
#include "attest/ledger/tiles.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const std::string_view text = FuzzText(data, size);
  if (const auto name = ledger::ParseTilePath(text)) {
    FuzzCheck(ledger::TilePath(name->id, name->width) == text);
    FuzzCheck(ledger::TileWidthAt(name->id, ~uint64_t{0}) <= 256);
  }
  const ByteSpan bundle(data, size);
  if (const auto entries = ledger::DecodeEntryBundle(bundle)) {
    FuzzCheck(Equal(ledger::EncodeEntryBundle(*entries).value(), bundle));
  }
  return 0;
}
