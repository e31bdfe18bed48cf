// Frames on a local stream: a u32 little-endian length, then that many bytes.
//
// Knows nothing of what the bytes mean. A length over the bound is refused as
// soon as its four bytes are there: nothing is allocated for it.
// Not thread-safe.
#ifndef COUNTERSIGN_AGENT_IPC_FRAME_H_
#define COUNTERSIGN_AGENT_IPC_FRAME_H_

#include <cstdint>
#include <optional>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::agent {

inline constexpr size_t kFrameHeaderSize = 4;
// Between a client and countersignd; between countersignd and the uplink.
inline constexpr size_t kMaxClientFrame = size_t{1} << 20;
inline constexpr size_t kMaxUplinkFrame = size_t{8} << 20;

// Appends `payload` with its length in front. `payload` is below 4 GiB; the
// bound of the other end is the caller's business.
void AppendFrame(ByteSpan payload, Bytes& out);

// Turns a hostile stream, however it is cut up, back into payloads.
class FrameDecoder {
 public:
  explicit FrameDecoder(size_t max_payload) : max_payload_(max_payload) {}

  // Takes over what was read; then call Next() until it has nothing.
  void Feed(ByteSpan bytes);

  // The next whole payload, if there is one. After an error the stream has no
  // meaning any more: close it.
  //   kTooLarge        the length is over the bound
  //   kFrameMalformed  the length is zero
  [[nodiscard]] Result<std::optional<Bytes>> Next();

  // Part of a frame has arrived and the rest has not: at the end of a stream
  // this is a cut frame.
  [[nodiscard]] bool mid_frame() const { return buffered() > 0; }
  [[nodiscard]] size_t buffered() const { return buffer_.size() - used_; }

 private:
  size_t max_payload_;
  Bytes buffer_;  // Read and not yet handed out, from used_ on.
  size_t used_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_IPC_FRAME_H_
