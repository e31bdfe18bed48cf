#include "attest/verifier/event_log_verifier.h"

#include "attest/base/digest.h"

namespace countersign::verifier {
namespace {

using tpm::Event;

constexpr uint32_t kLastBootPcr = 7;

bool DigestIsOfData(uint32_t type) {
  switch (type) {
    case tpm::kEvSeparator:
    case tpm::kEvAction:
    case tpm::kEvEfiAction:
    case tpm::kEvEfiVariableDriverConfig:
    case tpm::kEvEfiVariableAuthority:
      return true;
    default:
      return false;
  }
}

std::string OfPcr(uint32_t pcr) { return "PCR " + std::to_string(pcr); }

Status CheckReplay(const tpm::EventLog& log, const QuotedPcrs& pcrs) {
  const tpm::PcrValues replayed = log.Replay();
  size_t next = 0;
  for (const uint8_t pcr : pcrs.selection().indices()) {
    if (replayed[pcr] != pcrs.values()[next++]) {
      return Fail(ErrorCode::kEventLogMismatch, OfPcr(pcr));
    }
  }
  return {};
}

// EV_SEPARATOR closes what firmware measures. 0 and ffffffff are both sound;
// any other value says that measuring failed (§3.3.2.2).
bool IsSoundSeparator(const Event& event) {
  static constexpr uint8_t kZeros[4] = {0, 0, 0, 0};
  static constexpr uint8_t kOnes[4] = {0xff, 0xff, 0xff, 0xff};
  return Equal(event.data, kZeros) || Equal(event.data, kOnes);
}

Status CheckSeparators(const tpm::EventLog& log, const QuotedPcrs& pcrs) {
  for (const uint8_t pcr : pcrs.selection().indices()) {
    if (pcr > kLastBootPcr) break;
    int separators = 0;
    for (const Event& event : log.events()) {
      if (event.pcr != pcr || event.type != tpm::kEvSeparator) continue;
      ++separators;
      if (!IsSoundSeparator(event)) {
        return Fail(ErrorCode::kPcrBankUnmeasured,
                    OfPcr(pcr) + ": firmware reports an error");
      }
    }
    if (separators != 1) {
      return Fail(ErrorCode::kPcrBankUnmeasured,
                  OfPcr(pcr) + " has not exactly one separator");
    }
  }
  return {};
}

Status CheckEventData(const tpm::EventLog& log, const QuotedPcrs& pcrs) {
  for (const Event& event : log.events()) {
    if (!DigestIsOfData(event.type)) continue;
    if (!pcrs.selection().Contains(static_cast<int>(event.pcr))) continue;
    if (Sha256(event.data) != event.digest) {
      return Fail(ErrorCode::kEventDataMismatch, OfPcr(event.pcr));
    }
  }
  return {};
}

}  // namespace

Status VerifyEventLog(ByteSpan log, const QuotedPcrs& pcrs) {
  CS_ASSIGN_OR_RETURN(const tpm::EventLog parsed, tpm::EventLog::Parse(log));
  CS_RETURN_IF_ERROR(CheckReplay(parsed, pcrs));
  CS_RETURN_IF_ERROR(CheckSeparators(parsed, pcrs));
  return CheckEventData(parsed, pcrs);
}

}  // namespace countersign::verifier
