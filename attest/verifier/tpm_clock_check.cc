#include "attest/verifier/tpm_clock_check.h"

#include <tuple>

namespace countersign::verifier {

Status CheckNotBefore(const tpm::TpmClock& last, const tpm::TpmClock& now) {
  const auto order = [](const tpm::TpmClock& clock) {
    return std::tuple(clock.reset_count, clock.restart_count, clock.clock_ms);
  };
  if (order(now) < order(last)) {
    return Fail(ErrorCode::kTpmClockRollback,
                "reset count " + std::to_string(now.reset_count) + " after " +
                    std::to_string(last.reset_count));
  }
  return {};
}

Status CheckSameBoot(const tpm::TpmClock& session, const tpm::TpmClock& now) {
  if (!now.SameBoot(session)) {
    return Fail(ErrorCode::kStaleBoot,
                "the machine rebooted or resumed in between");
  }
  return {};
}

}  // namespace countersign::verifier
