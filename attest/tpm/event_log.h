// The TCG event log: what firmware says that it measured into the PCRs.
// Nothing in it is true until its replay equals quoted PCR values; even then
// only the digests are proven, while event types and most event data stay
// claims. Crypto-agile format, little-endian: TCG PC Client Platform Firmware
// Profile 1.05 §10.
#ifndef COUNTERSIGN_ATTEST_TPM_EVENT_LOG_H_
#define COUNTERSIGN_ATTEST_TPM_EVENT_LOG_H_

#include "attest/base/bytes.h"
#include "attest/tpm/pcr_selection.h"

namespace countersign::tpm {

// Event types (§10.4.1).
inline constexpr uint32_t kEvPostCode = 0x00000001;
inline constexpr uint32_t kEvNoAction = 0x00000003;
inline constexpr uint32_t kEvSeparator = 0x00000004;
inline constexpr uint32_t kEvAction = 0x00000005;
inline constexpr uint32_t kEvSCrtmVersion = 0x00000008;
inline constexpr uint32_t kEvEfiVariableDriverConfig = 0x80000001;
inline constexpr uint32_t kEvEfiVariableBoot = 0x80000002;
inline constexpr uint32_t kEvEfiBootServicesApplication = 0x80000003;
inline constexpr uint32_t kEvEfiGptEvent = 0x80000006;
inline constexpr uint32_t kEvEfiAction = 0x80000007;
inline constexpr uint32_t kEvEfiVariableBoot2 = 0x8000000c;
inline constexpr uint32_t kEvEfiVariableAuthority = 0x800000e0;

inline constexpr size_t kMaxEventLogSize = 384 * 1024;
inline constexpr size_t kMaxEvents = 8192;
inline constexpr size_t kMaxEventSize = 256 * 1024;

struct Event {
  uint32_t pcr = 0;
  uint32_t type = 0;
  Sha256Digest digest{};  // Of the sha256 bank.
  ByteSpan data = {};     // Points into the parsed bytes.
};

using PcrValues = std::array<Sha256Digest, kPcrCount>;

// The events after the header. Points into the bytes it was parsed from, which
// must outlive it.
class EventLog {
 public:
  // Reads `log`, hostile. Every failure is kEventLogMalformed: over a bound
  // above; no TCG_EfiSpecIDEvent with sha256 in front; an event with a PCR
  // over 23 (EV_NO_ACTION may name none), an algorithm that the header lacks,
  // or not one digest for each that it has; truncated; a StartupLocality that
  // is wrong, late or not the only one.
  [[nodiscard]] static Result<EventLog> Parse(ByteSpan log);

  [[nodiscard]] const std::vector<Event>& events() const { return events_; }
  // Locality that TPM2_Startup came from: the last byte of PCR 0's start.
  [[nodiscard]] uint8_t startup_locality() const { return startup_locality_; }

  // PCR values of the sha256 bank after all events.
  [[nodiscard]] PcrValues Replay() const;

 private:
  EventLog() = default;

  std::vector<Event> events_;
  uint8_t startup_locality_ = 0;
};

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_EVENT_LOG_H_
