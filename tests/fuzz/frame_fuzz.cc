// Frames from a client. However a stream is cut up, the same payloads come
// out of it, none over the bound.
#include <vector>

#include "agent/ipc/frame.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign::agent {
namespace {

constexpr size_t kBound = 4096;

// The payloads of `stream`, fed in pieces of `piece` bytes, and whether it
// went bad.
std::pair<std::vector<Bytes>, bool> Decode(ByteSpan stream, size_t piece) {
  FrameDecoder decoder(kBound);
  std::vector<Bytes> payloads;
  while (!stream.empty()) {
    const size_t n = std::min(piece, stream.size());
    decoder.Feed(stream.first(n));
    stream = stream.subspan(n);
    while (true) {
      auto payload = decoder.Next();
      if (!payload.has_value()) return {std::move(payloads), true};
      if (!payload->has_value()) break;
      FuzzCheck((*payload)->size() <= kBound && !(*payload)->empty());
      payloads.push_back(std::move(**payload));
    }
    FuzzCheck(decoder.buffered() <= kBound + kFrameHeaderSize);
  }
  return {std::move(payloads), false};
}

}  // namespace
}  // namespace countersign::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  if (size == 0) return 0;
  const ByteSpan stream(data + 1, size - 1);
  const auto whole = agent::Decode(stream, stream.size() + 1);
  FuzzCheck(agent::Decode(stream, size_t{data[0]} % 64 + 1) == whole);
  return 0;
}
