// The ledger's entries one after the other, a page to a query. Not trusted:
// whoever reads them compares their hashes.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ENTRY_PAGES_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ENTRY_PAGES_H_

#include <optional>
#include <vector>

#include "attest/authz/store.h"

namespace countersign::authz {

class EntryPages {
 public:
  explicit EntryPages(StoreView& view) : view_(view) {}

  // The exact bytes of LedgerEntry `index`, good until the next call; nothing
  // if there is no such entry.
  [[nodiscard]] Result<std::optional<ByteSpan>> Read(uint64_t index);

 private:
  StoreView& view_;
  uint64_t first_ = 0;
  std::vector<Bytes> page_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ENTRY_PAGES_H_
