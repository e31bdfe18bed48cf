// A TPM 2.0 over tpm2-tss (ESYS), on any TCTI.
//
// Commands that use the AK run in one HMAC session salted to the EK that the
// AK was enrolled below, with parameter encryption both ways: a wrong answer
// on the bus is noticed, and neither the AK's authorisation value nor a
// credential secret crosses it in clear. The EK is used through
// PolicySecret(TPM_RH_ENDORSEMENT). TPM non-volatile memory is written when
// keys are first persisted, never per action.
#ifndef COUNTERSIGN_PLATFORM_ESYS_TPM_H_
#define COUNTERSIGN_PLATFORM_ESYS_TPM_H_

#include <chrono>
#include <memory>
#include <string>

#include "platform/tpm.h"

namespace countersign::platform {

struct EsysTpmOptions {
  // Deadline of one command. Real chips answer within a second.
  std::chrono::milliseconds command_timeout{10'000};
  // Deadline of commands that make a key: RSA-2048 takes 7 s on average and
  // sometimes a minute.
  std::chrono::milliseconds create_timeout{120'000};
};

class EsysTpm {
 public:
  // `tcti` is any TCTI string, e.g. "device:/dev/tpmrm0" (also when empty) or
  // "swtpm:path=/run/swtpm.sock". Touches nothing yet: every method connects
  // when it must, so a daemon may start before its TPM does.
  //
  // Behind a resource manager (the default device) the kernel cleans up after
  // a dead client. Anywhere else this process must be the TPM's only user:
  // what an earlier one left in its memory is flushed at the first connect.
  [[nodiscard]] static std::unique_ptr<Tpm> Create(
      const std::string& tcti, const EsysTpmOptions& options = {});
  // The same, and connects once to see that a TPM is there.
  [[nodiscard]] static Result<std::unique_ptr<Tpm>> Open(
      const std::string& tcti, const EsysTpmOptions& options = {});
};

// tpm2-tss writes to standard error what we report as an Error; this stops it,
// unless TSS2_LOG is set already. Call it first thing in main.
void SilenceTssLog();

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_TPM_H_
