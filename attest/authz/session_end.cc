#include "attest/authz/session_end.h"

#include "attest/base/text.h"

namespace countersign::authz {

v1::LedgerEntry SessionEndEntry(const SessionRow& session,
                                std::string_view reason) {
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_SESSION_END);
  entry.set_device_id(AsString(session.device_id));
  entry.set_session_id(AsString(session.id));
  entry.set_session_binding_digest(AsString(session.binding_digest));
  entry.set_refers_to(session.ledger_index + 1);
  entry.set_detail(Printable(reason, 64));
  return entry;
}

Status EndSessions(
    const LedgerWriter& ledger, StoreTransaction& transaction,
    ByteSpan device_id, int64_t now_ms,
    const std::function<std::string_view(const SessionRow&)>& why) {
  CS_ASSIGN_OR_RETURN(auto live, transaction.LiveSessions(device_id));
  std::vector<SessionRow> ending;
  std::vector<v1::LedgerEntry> entries;
  for (SessionRow& session : live) {
    const std::string_view reason = why(session);
    if (reason.empty()) continue;
    session.end_reason = reason;
    session.ended_ms = now_ms;
    entries.push_back(SessionEndEntry(session, reason));
    ending.push_back(std::move(session));
  }
  if (ending.empty()) return {};
  CS_ASSIGN_OR_RETURN(uint64_t index, ledger.Append(transaction, entries));
  for (SessionRow& session : ending) {
    session.end_index = index++;
    CS_RETURN_IF_ERROR(transaction.PutSession(session));
  }
  return {};
}

}  // namespace countersign::authz
