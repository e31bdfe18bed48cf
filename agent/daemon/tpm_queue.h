// The one thread that talks to the TPM, as the event loop sees it.
//
// Nothing here takes a digest from outside: callers pass digests of statements
// that the daemon built. Sessions go before batches. Remembers how the TPM
// last answered, for `status`. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_TPM_QUEUE_H_
#define COUNTERSIGN_AGENT_DAEMON_TPM_QUEUE_H_

#include <memory>
#include <optional>
#include <utility>

#include "agent/daemon/worker.h"
#include "attest/base/result.h"
#include "countersign/v1/evidence.pb.h"
#include "platform/tpm.h"

namespace countersign::agent {

class TpmQueue {
 public:
  using Urgency = Worker::Urgency;

  // `tpm` and `loop` outlive this.
  TpmQueue(platform::EventLoop& loop, platform::Tpm& tpm)
      : tpm_(tpm), alive_(std::make_shared<bool>(true)), worker_(loop) {}
  ~TpmQueue() { *alive_ = false; }

  // Runs `call(tpm)`, which returns a Result, on the TPM thread, then
  // `done(result)` on the loop.
  template <typename Call, typename Done>
  void Submit(Urgency urgency, Call call, Done done) {
    worker_.Submit(
        urgency,
        [this, call = std::move(call)]() mutable { return call(tpm_); },
        [this, done = std::move(done)](auto result) mutable {
          Note(result.has_value() ? nullptr : &result.error());
          done(std::move(result));
        });
  }

  // False once the queue is gone, for what may outlive it.
  [[nodiscard]] std::shared_ptr<const bool> alive() const { return alive_; }

  // A call has come back, so that last_error() means something.
  [[nodiscard]] bool used() const { return used_; }
  // What went wrong the last time; nothing if the TPM answered.
  [[nodiscard]] const std::optional<Error>& last_error() const {
    return last_error_;
  }

 private:
  void Note(const Error* error);

  platform::Tpm& tpm_;
  bool used_ = false;
  std::optional<Error> last_error_;
  std::shared_ptr<bool> alive_;
  Worker worker_;  // Last: its thread uses tpm_.
};

// A quote with the TPM's clock at that moment, as read from the quote itself.
struct ClockedQuote {
  v1::TpmQuote quote;
  tpm::TpmClock clock;
};

// Quotes and reads what came out. On the TPM thread.
[[nodiscard]] Result<ClockedQuote> QuoteStatement(
    platform::Tpm& tpm, const Sha256Digest& statement_digest,
    const tpm::PcrSelection& selection);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_TPM_QUEUE_H_
