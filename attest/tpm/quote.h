// What comes out of TPM2_Quote or TPM2_Certify, as bytes.
#ifndef COUNTERSIGN_ATTEST_TPM_QUOTE_H_
#define COUNTERSIGN_ATTEST_TPM_QUOTE_H_

#include <compare>

#include "attest/base/bytes.h"

namespace countersign::tpm {

// Both exactly as the TPM marshalled them; never re-encoded, since it is these
// bytes that are signed.
struct Quote {
  Bytes attest;     // TPMS_ATTEST, without the TPM2B size.
  Bytes signature;  // TPMT_SIGNATURE.
};

// TPMS_CLOCK_INFO (Part 2 §10.11.1).
struct TpmClock {
  uint64_t clock_ms = 0;       // Time powered; rises within one reset count.
  uint32_t reset_count = 0;    // TPM resets (reboots).
  uint32_t restart_count = 0;  // Restarts and resumes since the last reset.
  bool safe = false;           // False: the clock may have gone back.

  bool operator==(const TpmClock&) const = default;

  // Both counters equal: no reboot and no resume lies between the two.
  [[nodiscard]] bool SameBoot(const TpmClock& other) const {
    return reset_count == other.reset_count &&
           restart_count == other.restart_count;
  }
};

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_QUOTE_H_
