// Why the ledger never forks: a checkpoint is signed only if it extends the
// last one signed, and that one is remembered outside the database, so that a
// restored or failed-over database is noticed before anything is signed.
#ifndef COUNTERSIGN_ATTEST_LEDGER_HEAD_GUARD_H_
#define COUNTERSIGN_ATTEST_LEDGER_HEAD_GUARD_H_

#include <optional>
#include <string>

#include "attest/ledger/tree.h"

namespace countersign::ledger {

// Keeps the last signed head. Several service processes over one database
// share one, with a lock of its own.
class HeadGuard {
 public:
  virtual ~HeadGuard() = default;
  // Nothing: no checkpoint was ever signed. A head that cannot be read is an
  // error, never "nothing".
  [[nodiscard]] virtual Result<std::optional<TreeHead>> Load() = 0;
  // Durable when it returns.
  [[nodiscard]] virtual Status Store(const TreeHead& head) = 0;
};

// Whether `tree`, whose root is recomputed from its tiles, may follow `last`:
//   kLedgerRolledBack  it is shorter than `last`
//   kLedgerFork        it is not an extension of `last`
[[nodiscard]] Result<TreeHead> CheckExtends(const Tree& tree,
                                            const TreeHead& last);

// Signs a checkpoint of `tree` if it extends what `guard` remembers, after
// `guard` has remembered the new head: a crash in between loses a signature,
// never the memory of one. Errors as CheckExtends, and those of `guard`.
[[nodiscard]] Result<std::string> ExtendHead(const Tree& tree,
                                             const LedgerKey& key,
                                             HeadGuard& guard);

}  // namespace countersign::ledger

#endif  // COUNTERSIGN_ATTEST_LEDGER_HEAD_GUARD_H_
