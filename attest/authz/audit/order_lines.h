// "Valid then": that the session and the device were in force when an action
// was decided, by the order of the ledger's entries alone. What the database's
// rows say of the same must agree.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ORDER_LINES_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ORDER_LINES_H_

#include "attest/authz/audit/checked_line.h"
#include "attest/authz/audit/device_history.h"

namespace countersign::authz {

// Neither holds if a permit stands after the event.
[[nodiscard]] CheckedLine EndLine(StoreView& view, const DeviceHistory& history,
                                  const ProvenEntry& session,
                                  const ProvenEntry& decision);
[[nodiscard]] CheckedLine RevocationLine(StoreView& view,
                                         const DeviceHistory& history,
                                         const ProvenEntry& decision);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ORDER_LINES_H_
