// A bare TPM2_Quote: the command's bytes to a TCTI and the answer's back, with
// nothing in between. What a TPM costs before any software.
#ifndef COUNTERSIGN_TESTS_BENCH_RAW_QUOTE_H_
#define COUNTERSIGN_TESTS_BENCH_RAW_QUOTE_H_

#include <tss2/tss2_tcti.h>

#include <memory>
#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::bench {

class RawQuote {
 public:
  // `handle` is a persistent restricted signing key with an empty
  // authorisation value.
  [[nodiscard]] static Result<RawQuote> Open(const std::string& tcti,
                                             uint32_t handle);

  // Quotes PCRs sha256:0-7; milliseconds from command to answer.
  [[nodiscard]] Result<double> Once();

 private:
  struct Close {
    void operator()(TSS2_TCTI_CONTEXT* tcti) const;
  };
  RawQuote(TSS2_TCTI_CONTEXT* tcti, Bytes command)
      : tcti_(tcti), command_(std::move(command)) {}

  std::unique_ptr<TSS2_TCTI_CONTEXT, Close> tcti_;
  Bytes command_;
};

}  // namespace countersign::bench

#endif  // COUNTERSIGN_TESTS_BENCH_RAW_QUOTE_H_
