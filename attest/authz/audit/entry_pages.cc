#include "attest/authz/audit/entry_pages.h"

namespace countersign::authz {
namespace {

constexpr uint64_t kPage = 1024;

}  // namespace

Result<std::optional<ByteSpan>> EntryPages::Read(uint64_t index) {
  if (index < first_ || index >= first_ + page_.size()) {
    first_ = index;
    CS_ASSIGN_OR_RETURN(page_, ReadPage(index));
  }
  if (page_.empty()) return std::optional<ByteSpan>();
  return std::optional<ByteSpan>(page_[index - first_]);
}

// A page that starts at `index`: entries after a gap do not belong to it.
Result<std::vector<Bytes>> EntryPages::ReadPage(uint64_t index) {
  CS_ASSIGN_OR_RETURN(auto page, view_.LedgerEntries(index, kPage));
  if (page.size() == kPage) return page;
  std::vector<Bytes> contiguous;
  for (uint64_t i = index; i < index + page.size(); ++i) {
    CS_ASSIGN_OR_RETURN(auto one, view_.LedgerEntries(i, 1));
    if (one.empty()) break;
    contiguous.push_back(std::move(one.front()));
  }
  return contiguous;
}

}  // namespace countersign::authz
