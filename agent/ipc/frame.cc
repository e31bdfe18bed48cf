#include "agent/ipc/frame.h"

namespace countersign::agent {
namespace {

// A connection that once carried a large frame does not keep its memory.
constexpr size_t kKeptCapacity = 16 * 1024;

}  // namespace

void AppendFrame(ByteSpan payload, Bytes& out) {
  const auto size = static_cast<uint32_t>(payload.size());
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<uint8_t>(size >> shift));
  }
  out.insert(out.end(), payload.begin(), payload.end());
}

void FrameDecoder::Feed(ByteSpan bytes) {
  if (used_ > 0) {
    buffer_.erase(buffer_.begin(),
                  buffer_.begin() + static_cast<ptrdiff_t>(used_));
    used_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<Bytes>> FrameDecoder::Next() {
  const ByteSpan rest = ByteSpan(buffer_).subspan(used_);
  if (rest.empty()) {
    used_ = 0;
    buffer_.clear();
    if (buffer_.capacity() > kKeptCapacity) Bytes().swap(buffer_);
    return std::nullopt;
  }
  if (rest.size() < kFrameHeaderSize) return std::nullopt;
  size_t size = 0;
  for (size_t i = 0; i < kFrameHeaderSize; ++i) {
    size |= size_t{rest[i]} << (8 * i);
  }
  if (size > max_payload_) {
    return Fail(ErrorCode::kTooLarge,
                "a frame of " + std::to_string(size) + " bytes; at most " +
                    std::to_string(max_payload_) + " are allowed");
  }
  if (size == 0) return Fail(ErrorCode::kFrameMalformed, "an empty frame");
  if (rest.size() - kFrameHeaderSize < size) return std::nullopt;
  used_ += kFrameHeaderSize + size;
  return ToBytes(rest.subspan(kFrameHeaderSize, size));
}

}  // namespace countersign::agent
