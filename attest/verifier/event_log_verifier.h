// Checks that an event log explains quoted PCR values. What the log says is
// then proven as far as digests go; event types stay claims, and event data
// is proven only for the types listed below.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_EVENT_LOG_VERIFIER_H_
#define COUNTERSIGN_ATTEST_VERIFIER_EVENT_LOG_VERIFIER_H_

#include "attest/tpm/event_log.h"
#include "attest/verifier/quote_verifier.h"

namespace countersign::verifier {

// `log` is hostile. Only events of quoted PCRs are judged. In this order:
//   kEventLogMalformed  see tpm::EventLog::Parse
//   kEventLogMismatch   the replay is not the quoted values
//   kPcrBankUnmeasured  a quoted PCR of 0-7 without exactly one EV_SEPARATOR,
//                       or a separator that reports a firmware error
//   kEventDataMismatch  an event whose digest must be that of its data, and
//                       is not: EV_SEPARATOR, EV_ACTION, EV_EFI_ACTION, Secure
//                       Boot variables and authorities. For other types
//                       firmware hashes something else, or vendors differ.
[[nodiscard]] Status VerifyEventLog(ByteSpan log, const QuotedPcrs& pcrs);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_EVENT_LOG_VERIFIER_H_
