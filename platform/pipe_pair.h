// Two one-way byte streams to another program: what it says and what it hears,
// as a browser holds a native messaging host.
//
// Never blocks, never raises SIGPIPE. Knows nothing of the bytes. Links neither
// OpenSSL nor a TPM stack. Not thread-safe.
#ifndef COUNTERSIGN_PLATFORM_PIPE_PAIR_H_
#define COUNTERSIGN_PLATFORM_PIPE_PAIR_H_

#include <optional>
#include <utility>

#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

class PipePair {
 public:
  // Takes over standard input and output. What this process prints from now on
  // goes to standard error: a stray line would break the browser's framing.
  // kIoError when either is closed.
  [[nodiscard]] static Result<PipePair> FromStandardStreams();
  // Takes over a readable and a writable stream. SIGPIPE is ignored from now
  // on, in the whole process.
  [[nodiscard]] static Result<PipePair> Adopt(OwnedHandle input,
                                              OwnedHandle output);

  // Whatever has arrived, at most `max` bytes; nothing if none has; no bytes at
  // the end of the stream. kIoError.
  [[nodiscard]] Result<std::optional<Bytes>> Read(size_t max);
  // Writes what fits now and says how much: 0 means full. kPeerGone when
  // nobody reads any more.
  [[nodiscard]] Result<size_t> Write(ByteSpan bytes);

  [[nodiscard]] Handle input() const { return input_.get(); }
  [[nodiscard]] Handle output() const { return output_.get(); }

 private:
  PipePair(OwnedHandle input, OwnedHandle output)
      : input_(std::move(input)), output_(std::move(output)) {}
  OwnedHandle input_;
  OwnedHandle output_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_PIPE_PAIR_H_
