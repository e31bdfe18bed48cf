// Recomputes the whole ledger from its entries and says where it first
// departs from what was signed. Needs no trust in the store: only the ledger's
// verifier key, and any checkpoint that someone kept.
#ifndef COUNTERSIGN_ATTEST_LEDGER_AUDIT_H_
#define COUNTERSIGN_ATTEST_LEDGER_AUDIT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attest/ledger/tree.h"

namespace countersign::ledger {

class EntryReader {
 public:
  virtual ~EntryReader() = default;
  // The PAE bytes of entry `index`; nothing if there is no such entry.
  [[nodiscard]] virtual Result<std::optional<Bytes>> ReadEntry(
      uint64_t index) = 0;
};

struct LedgerFinding {
  ErrorCode code = ErrorCode::kLedgerEntryMismatch;
  // The first entry that is not what was signed; with `last_index` beyond it,
  // it lies in [first_bad_index, last_index].
  uint64_t first_bad_index = 0;
  uint64_t last_index = 0;
  std::string detail;
  std::string remedy = {};  // Empty: what `code` has.
};

struct LedgerAudit {
  TreeHead head;                         // The newest one signed.
  uint64_t entries = 0;                  // Recomputed.
  std::optional<LedgerFinding> finding;  // Absent: everything holds.
};

struct LedgerEvidence {
  // Signed notes in any order, the newest among them. More of them narrow
  // down where a change lies.
  std::vector<std::string> checkpoints;
  // A head that someone kept from earlier; the ledger must extend it.
  std::optional<TreeHead> kept_head;
};

// Findings, in the order they are looked for (A52):
//   kCheckpointInvalid    a checkpoint is not signed by `log`
//   kLedgerFork           two heads of one size with different roots
//   kLedgerRolledBack     kept_head is newer than every checkpoint
//   kLedgerTruncated      an entry below the newest head is missing
//   kLedgerEntryMismatch  an entry was edited, removed or moved: its hash is
//                         not the stored leaf's, or the root is not the signed
//                         one (then the stored leaves were changed as well)
// The Result is an Error only where reading failed.
[[nodiscard]] Result<LedgerAudit> VerifyLedger(EntryReader& entries,
                                               const TileStore& tiles,
                                               const NoteVerifier& log,
                                               const LedgerEvidence& evidence);

}  // namespace countersign::ledger

#endif  // COUNTERSIGN_ATTEST_LEDGER_AUDIT_H_
