// The rules over the TPM's clock and reset counters, which a quote carries:
// what was seen once may not become earlier, and a session does not outlive
// the boot that it began in.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_TPM_CLOCK_CHECK_H_
#define COUNTERSIGN_ATTEST_VERIFIER_TPM_CLOCK_CHECK_H_

#include "attest/base/result.h"
#include "attest/tpm/quote.h"

namespace countersign::verifier {

// kTpmClockRollback if (resetCount, restartCount, clock) of `now` lies before
// `last`. Over a reset the clock itself may go back (then `safe` is NO); the
// reset count never does.
[[nodiscard]] Status CheckNotBefore(const tpm::TpmClock& last,
                                    const tpm::TpmClock& now);

// kStaleBoot if a reboot or resume lies between the two.
[[nodiscard]] Status CheckSameBoot(const tpm::TpmClock& session,
                                   const tpm::TpmClock& now);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_TPM_CLOCK_CHECK_H_
