// Recomputes the whole ledger of a service and says where it first departs
// from what was signed.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_LEDGER_CHECK_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_LEDGER_CHECK_H_

#include <functional>
#include <string>

#include "attest/authz/config.h"
#include "attest/authz/store.h"
#include "attest/ledger/audit.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// Against the checkpoints in the store and the head kept beside it; where that
// head is missing or damaged nothing shows that the ledger was not cut off,
// which is a finding (kLedgerRolledBack).
[[nodiscard]] Result<ledger::LedgerAudit> CheckLedger(
    StoreView& view, const Config& config, const ledger::NoteVerifier& log);

// Calls `show` with every entry from `since_ms` on. Entries that cannot be
// read are skipped: CheckLedger is who names them.
[[nodiscard]] Status ListEntries(
    StoreView& view, int64_t since_ms,
    const std::function<void(uint64_t index, const v1::LedgerEntry&)>& show);

[[nodiscard]] std::string_view KindName(v1::EntryKind kind);

// "2026-11-21", "2026-11-21T08:00:00Z", or "90m", "12h", "7d" before `now_ms`.
[[nodiscard]] Result<int64_t> ParseSince(std::string_view text, int64_t now_ms);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_LEDGER_CHECK_H_
