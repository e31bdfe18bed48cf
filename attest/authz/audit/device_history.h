// What the ledger itself says of a device and a session: enrollments,
// revocation, end. Read from the entries and never from the rows beside them,
// which whoever holds the database can change.
//
// Every entry is read once, front to back, and its hash compared with the
// stored leaf; the stored leaves must lead to the signed root. So an event
// that is not found here is not in the ledger.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DEVICE_HISTORY_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DEVICE_HISTORY_H_

#include <optional>
#include <string>
#include <vector>

#include "attest/authz/store.h"
#include "attest/ledger/checkpoint.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// An entry that is in the tree of the checkpoint it was read under.
struct ProvenEntry {
  uint64_t index = 0;
  v1::LedgerEntry entry;
};

struct HistoryQuery {
  std::string device_id;
  // Empty: no session. It is that of another device if someone pretends so.
  std::string session_id;
  std::string session_device_id;
  std::string grant_jti;  // Empty: no grant.
};

struct DeviceHistory {
  uint64_t size = 0;  // Entries looked at.
  // Of both devices, in order.
  std::vector<ProvenEntry> enrollments;
  std::optional<ProvenEntry> session_end;  // The first.
  std::optional<ProvenEntry> revocation;   // Of device_id; the first.
  // Reports of use and the revocation of the grant alone, in order.
  std::vector<ProvenEntry> uses;
  // The last entry that is missing, or not the one in the tree, and so may
  // have been any of these.
  std::optional<uint64_t> unproven;

  // That nothing is hidden in the entries from `index` on.
  [[nodiscard]] bool ProvenFrom(uint64_t index) const {
    return !unproven || *unproven < index;
  }
};

//   kStorageCorrupt       stored leaves are missing
//   kLedgerEntryMismatch  they do not lead to the root of `checkpoint`
[[nodiscard]] Result<DeviceHistory> ReadHistory(
    StoreView& view, const ledger::Checkpoint& checkpoint,
    const HistoryQuery& query);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DEVICE_HISTORY_H_
