#include "attest/authz/audit/order_lines.h"

#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr uint64_t kNever = UINT64_MAX;

std::string Number(uint64_t value) { return std::to_string(value); }

std::string Place(uint64_t decision, uint64_t event) {
  if (decision == event) return "is";
  return decision < event ? "stands after" : "stands before";
}

bool Permits(const ProvenEntry& decision) {
  return decision.entry.kind() == v1::ENTRY_KIND_DECISION &&
         decision.entry.decision() == "permit";
}

// Before its enrollment nothing can have happened to a device.
uint64_t FirstEnrollment(const DeviceHistory& history,
                         const std::string& device_id) {
  for (const ProvenEntry& enrolled : history.enrollments) {
    if (enrolled.entry.device_id() == device_id) return enrolled.index;
  }
  return 0;
}

// An event as the ledger has it beside what a row says of it.
struct Event {
  std::string key;
  std::string none;      // Fact where there is none.
  std::string happened;  // Fact up to the number of its entry.
  const std::optional<ProvenEntry>& entry;
  uint64_t since;  // Where it may stand at the earliest.
  uint64_t row;    // Index that the row names; kNever: none.
};

CheckedLine EventLine(const DeviceHistory& history, const Event& event,
                      const ProvenEntry& decision) {
  const uint64_t index = event.entry ? event.entry->index : kNever;
  // An entry that no checkpoint covers yet is not judged.
  const uint64_t row = event.row < history.size ? event.row : kNever;
  std::string fact = event.none;
  if (event.entry) {
    fact = event.happened +
           (decision.index < index ? " later, by entry " : " by entry ") +
           Number(index);
    const std::string& why = event.entry->entry.detail();
    if (!why.empty()) fact += " (" + Printable(why) + ")";
  }
  if (row != index) {
    return Line(event.key, false, fact,
                "the ledger shows this, but the database says " +
                    (row == kNever ? "never" : "entry " + Number(row)) +
                    ": it was changed behind the service's back");
  }
  if (!event.entry && !history.ProvenFrom(event.since)) {
    return Line(event.key, false, fact,
                "entry " + Number(*history.unproven) +
                    ", which may say otherwise, is not the one in the tree");
  }
  if (!event.entry) {
    return Line(event.key, true, fact,
                "none of the ledger's " + Number(history.size) +
                    " entries says so; each was hashed again");
  }
  return Line(event.key, decision.index <= index || !Permits(decision), fact,
              "that entry is proven, and " + Place(decision.index, index) +
                  " this decision");
}

}  // namespace

CheckedLine EndLine(StoreView& view, const DeviceHistory& history,
                    const ProvenEntry& session, const ProvenEntry& decision) {
  const auto row = view.FindSession(AsBytes(session.entry.session_id()));
  if (!row) return Lost("session_end", "the session's end", row.error());
  if (!*row) {
    return Line("session_end", false, "the session's end",
                "the database has no such session any more, though entry " +
                    Number(session.index) + " binds it");
  }
  const uint64_t end = (*row)->ended() ? (*row)->end_index : kNever;
  return EventLine(history,
                   {.key = "session_end",
                    .none = "the session has not ended since",
                    .happened = "the session ended",
                    .entry = history.session_end,
                    .since = session.index,
                    .row = end},
                   decision);
}

CheckedLine RevocationLine(StoreView& view, const DeviceHistory& history,
                           const ProvenEntry& decision) {
  const auto row = view.FindDevice(AsBytes(decision.entry.device_id()));
  if (!row) return Lost("revocation", "the device", row.error());
  if (!*row) {
    return Line("revocation", false, "the device",
                "the database has no such device any more");
  }
  const uint64_t revoked = (*row)->revoked ? (*row)->revoked_index : kNever;
  return EventLine(
      history,
      {.key = "revocation",
       .none = "the device has not been revoked",
       .happened = "the device was revoked",
       .entry = history.revocation,
       .since = FirstEnrollment(history, decision.entry.device_id()),
       .row = revoked},
      decision);
}

}  // namespace countersign::authz
