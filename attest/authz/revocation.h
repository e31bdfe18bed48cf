// Taking a device's rights away: state and ledger entry in one transaction.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_REVOCATION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_REVOCATION_H_

#include "attest/authz/ledger_writer.h"
#include "attest/authz/store.h"

namespace countersign::authz {

// Revokes `device_id`: its sessions end, its batches are refused, its chip
// does not enroll again. Returns the ledger index of the revocation, which
// is when it was revoked. Revoking twice gives the first index.
// kDeviceUnknown.
[[nodiscard]] Result<uint64_t> RevokeDevice(Store& store, LedgerWriter& ledger,
                                            const Clock& clock,
                                            ByteSpan device_id,
                                            std::string_view reason);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_REVOCATION_H_
