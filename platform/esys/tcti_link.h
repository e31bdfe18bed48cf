// A TCTI that never blocks for ever, put between ESYS and the real one.
//
// The stock TCTIs wait without end when a chip, a driver or a socket hangs.
// Here the real TCTI lives on a thread of its own; the caller waits for it
// until a deadline. A thread that is stuck is left to itself and ends when its
// call returns; until then Open refuses to make a second one.
// Beside that it
//   - waits and sends again what the TPM asks to be sent again (RETRY,
//     YIELDED, TESTING, NV_RATE), which ESYS would do five times at once;
//   - refuses answers whose header is not that of a TPM 2.0 response;
//   - remembers which transient objects and sessions are loaded, so that they
//     can be flushed on a device without resource manager after ESYS has lost
//     track of them.
// Not thread-safe.
#ifndef COUNTERSIGN_PLATFORM_ESYS_TCTI_LINK_H_
#define COUNTERSIGN_PLATFORM_ESYS_TCTI_LINK_H_

#include <tss2/tss2_tcti.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::platform {

class TctiLink {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // Connects. `stuck` is the thread of an earlier link, if one was left
  // behind: while it hangs the result is kTpmTimeout.
  [[nodiscard]] static Result<std::unique_ptr<TctiLink>> Open(
      const std::string& tcti, Milliseconds deadline,
      std::weak_ptr<void>& stuck);
  TctiLink(const TctiLink&) = delete;
  TctiLink& operator=(const TctiLink&) = delete;
  ~TctiLink();

  // For Esys_Initialize; lives as long as the link.
  [[nodiscard]] TSS2_TCTI_CONTEXT* context();

  // Of each command from now on.
  void set_deadline(Milliseconds deadline) { deadline_ = deadline; }
  [[nodiscard]] Milliseconds deadline() const { return deadline_; }

  // Why the last exchange failed, if the link knows better than the return
  // code that ESYS got. Once set, the link is of no more use.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

  // One command without ESYS: for flushing what ESYS does not know.
  [[nodiscard]] Result<Bytes> Exchange(ByteSpan command);
  // Transient objects and sessions loaded over this link.
  [[nodiscard]] const std::set<uint32_t>& loaded() const { return loaded_; }

 private:
  struct Worker;
  struct Context;

  TctiLink(std::shared_ptr<Worker> worker, Milliseconds deadline,
           std::weak_ptr<void>& stuck);
  TSS2_RC Transmit(ByteSpan command);
  TSS2_RC Receive(size_t* size, uint8_t* response);
  [[nodiscard]] Result<Bytes> ExchangeOnce(
      ByteSpan command, std::chrono::steady_clock::time_point end);
  tl::unexpected<Error> Refuse(ErrorCode code, std::string detail);
  void NoteHandles(ByteSpan command, ByteSpan response);

  std::shared_ptr<Worker> worker_;
  std::unique_ptr<Context> context_;
  std::weak_ptr<void>& stuck_;
  Milliseconds deadline_;
  Bytes command_;
  std::optional<Bytes> response_;
  std::optional<Error> failure_;
  std::set<uint32_t> loaded_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_TCTI_LINK_H_
