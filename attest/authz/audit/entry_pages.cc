#include "attest/authz/audit/entry_pages.h"

namespace countersign::authz {
namespace {

constexpr uint64_t kPage = 1024;

}  // namespace

Result<std::optional<ByteSpan>> EntryPages::Read(uint64_t index) {
  if (index < first_ || index >= first_ + page_.size()) {
    first_ = index;
    CS_ASSIGN_OR_RETURN(page_, view_.LedgerEntries(index, kPage));
  }
  if (page_.empty()) return std::optional<ByteSpan>();
  return std::optional<ByteSpan>(page_[index - first_]);
}

}  // namespace countersign::authz
