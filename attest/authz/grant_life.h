// Whether what was permitted may still be used: asked at every use that the
// service hears of.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_GRANT_LIFE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_GRANT_LIFE_H_

#include "attest/authz/service.h"

namespace countersign::authz {

// Of the decision at `ledger_index` in `session`. A grant or receipt is worth
// no more than they are. In this order:
//   kDeviceRevoked, kAkRetired   the device may not act any more
//   kSessionEnded, kSessionExpired
//   kGrantRevoked                this one alone was taken back
// Says nothing of the token's own expiry.
[[nodiscard]] Status CheckGrantLive(const Service& service, StoreView& view,
                                    const SessionRow& session,
                                    uint64_t ledger_index);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_GRANT_LIFE_H_
