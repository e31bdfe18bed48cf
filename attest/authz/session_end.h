// How sessions end at the service: state and ledger entry in the transaction
// of whatever ends them.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_SESSION_END_H_
#define COUNTERSIGN_ATTEST_AUTHZ_SESSION_END_H_

#include <functional>
#include <string>
#include <vector>

#include "attest/authz/ledger_writer.h"
#include "attest/authz/store.h"

namespace countersign::authz {

// Why sessions end, beside what a client says ("client_closed", …).
inline constexpr std::string_view kEndReboot = "reboot";
inline constexpr std::string_view kEndExpired = "expired";
inline constexpr std::string_view kEndDeviceRevoked = "device_revoked";
inline constexpr std::string_view kEndAkRetired = "ak_retired";

// The ledger entry for the end of `session`.
[[nodiscard]] v1::LedgerEntry SessionEndEntry(const SessionRow& session,
                                              std::string_view reason);

// Ends those live sessions of `device_id` for which `why` gives a reason (not
// empty), with one ledger entry each.
[[nodiscard]] Status EndSessions(
    const LedgerWriter& ledger, StoreTransaction& transaction,
    ByteSpan device_id, int64_t now_ms,
    const std::function<std::string_view(const SessionRow&)>& why);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_SESSION_END_H_
