// What became of a grant, as far as anybody told the service.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_USE_LINE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_USE_LINE_H_

#include "attest/authz/audit/checked_line.h"
#include "attest/authz/audit/device_history.h"

namespace countersign::authz {

// Key "use": introspections, reports and the revocation of the grant that
// `decision` made, each with its entry. Without any: absent, "granted, use
// unreported". Fails if one is said to come before the decision.
[[nodiscard]] CheckedLine UseLine(const DeviceHistory& history,
                                  const ProvenEntry& decision);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_USE_LINE_H_
