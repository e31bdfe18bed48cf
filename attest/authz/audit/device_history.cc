#include "attest/authz/audit/device_history.h"

#include <algorithm>
#include <cstring>

#include "attest/authz/audit/entry_pages.h"
#include "attest/authz/ledger_writer.h"
#include "attest/ledger/tiles.h"
#include "attest/statement/merkle.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

// Parsing every entry would take longer than hashing it.
bool Mentions(ByteSpan entry, const std::string& id) {
  return !id.empty() &&
         ::memmem(entry.data(), entry.size(), id.data(), id.size()) != nullptr;
}

void Note(const HistoryQuery& query, ProvenEntry proven,
          DeviceHistory* history) {
  const v1::LedgerEntry& entry = proven.entry;
  // Of a grant, and not of the device or the session that it was made for.
  const bool of_grant =
      entry.kind() == v1::ENTRY_KIND_REPORT ||
      (entry.kind() == v1::ENTRY_KIND_REVOCATION && !entry.grant_jti().empty());
  if (of_grant) {
    if (!query.grant_jti.empty() && entry.grant_jti() == query.grant_jti) {
      history->uses.push_back(std::move(proven));
    }
    return;
  }
  switch (entry.kind()) {
    case v1::ENTRY_KIND_ENROLLMENT:
      history->enrollments.push_back(std::move(proven));
      return;
    case v1::ENTRY_KIND_SESSION_END:
      if (entry.session_id() == query.session_id && !history->session_end) {
        history->session_end = std::move(proven);
      }
      return;
    case v1::ENTRY_KIND_REVOCATION:
      if (entry.device_id() == query.device_id && !history->revocation) {
        history->revocation = std::move(proven);
      }
      return;
    default:
      return;
  }
}

// The leaves as they are stored, in order.
class StoredLeaves {
 public:
  StoredLeaves(StoreView& view, uint64_t size) : tiles_(view), size_(size) {}

  Result<Sha256Digest> Next() {
    const uint64_t offset = index_ % ledger::kTileWidth;
    if (offset == 0) {
      const ledger::TileId id{0, index_ / ledger::kTileWidth};
      CS_ASSIGN_OR_RETURN(tile_,
                          tiles_.ReadTile(id, ledger::TileWidthAt(id, size_)));
    }
    ++index_;
    Sha256Digest leaf;
    std::copy_n(tile_.begin() + static_cast<ptrdiff_t>(offset * leaf.size()),
                leaf.size(), leaf.begin());
    return leaf;
  }

 private:
  const StoredTiles tiles_;
  const uint64_t size_;
  uint64_t index_ = 0;
  Bytes tile_;
};

}  // namespace

Result<DeviceHistory> ReadHistory(StoreView& view,
                                  const ledger::Checkpoint& checkpoint,
                                  const HistoryQuery& query) {
  DeviceHistory history;
  history.size = checkpoint.head.size;
  EntryPages entries(view);
  StoredLeaves leaves(view, history.size);
  statement::RootBuilder root;
  for (uint64_t index = 0; index < history.size; ++index) {
    CS_ASSIGN_OR_RETURN(const Sha256Digest leaf, leaves.Next());
    root.Add(leaf);
    CS_ASSIGN_OR_RETURN(const auto entry, entries.Read(index));
    if (!entry ||
        statement::LeafHash(StatementType::kLedgerEntry, *entry) != leaf) {
      history.unproven = index;
      continue;
    }
    if (!Mentions(*entry, query.device_id) &&
        !Mentions(*entry, query.session_device_id) &&
        !Mentions(*entry, query.session_id)) {
      continue;
    }
    ProvenEntry proven{.index = index, .entry = {}};
    CS_RETURN_IF_ERROR(statement::ParseStatementInto(
        *entry, statement::kMaxLedgerEntrySize, proven.entry));
    Note(query, std::move(proven), &history);
  }
  if (root.Root() != checkpoint.head.root) {
    return Fail(ErrorCode::kLedgerEntryMismatch,
                "the stored leaves do not lead to the signed root");
  }
  return history;
}

}  // namespace countersign::authz
