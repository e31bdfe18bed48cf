// Writes event logs as firmware does, for machines that have no TPM of their
// own: the software-TPM rig extends PCRs 0-7 from one, since an unmeasured
// bank is refused, and tests break one field at a time.
#ifndef COUNTERSIGN_TESTS_FAKES_EVENT_LOG_BUILDER_H_
#define COUNTERSIGN_TESTS_FAKES_EVENT_LOG_BUILDER_H_

#include "attest/tpm/event_log.h"

namespace countersign::fakes {

// One measurement of a log that is being built.
struct LogEvent {
  uint32_t pcr = 0;
  uint32_t type = 0;
  Bytes data;
  Sha256Digest digest{};
};

class EventLogBuilder {
 public:
  // Adds an event whose digest is that of its data.
  EventLogBuilder& Add(uint32_t pcr, uint32_t type, Bytes data);
  // Adds an event with any digest.
  EventLogBuilder& Add(LogEvent event);
  // Adds the EV_SEPARATOR of each of PCRs 0-7.
  EventLogBuilder& AddSeparators();

  [[nodiscard]] const std::vector<LogEvent>& events() const { return events_; }
  // The log, with a header that announces the sha256 bank alone.
  [[nodiscard]] Bytes Encode() const;

 private:
  std::vector<LogEvent> events_;
};

// A small, plausible boot: firmware version, Secure Boot variables, boot
// order, a boot loader, separators. The same bytes each time.
[[nodiscard]] EventLogBuilder SmallEventLog();

}  // namespace countersign::fakes

#endif  // COUNTERSIGN_TESTS_FAKES_EVENT_LOG_BUILDER_H_
