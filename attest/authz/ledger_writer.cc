#include "attest/authz/ledger_writer.h"

#include "attest/authz/head_file.h"
#include "attest/base/digest.h"
#include "attest/statement/statement.h"

namespace countersign::authz {

using statement::StatementType;

Result<Bytes> StoredTiles::ReadTile(const ledger::TileId& id, int width) const {
  CS_ASSIGN_OR_RETURN(auto tile, view_.FindTile(id.level, id.index));
  const size_t size = static_cast<size_t>(width) * sizeof(Sha256Digest);
  if (!tile || tile->size() < size) {
    return Fail(ErrorCode::kStorageCorrupt, ledger::TilePath(id, width));
  }
  return *std::move(tile);
}

Result<uint64_t> LedgerWriter::Append(
    StoreTransaction& transaction, std::span<v1::LedgerEntry> entries) const {
  CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, transaction.LedgerHead());
  // Publish would take an index below what it has published for covered.
  if (head.size < published_size_) {
    return Fail(ErrorCode::kLedgerRolledBack,
                "the database has " + std::to_string(head.size) +
                    " entries, of " + std::to_string(published_size_) +
                    " published");
  }
  const int64_t now_ms = clock_.NowMs();
  std::vector<Sha256Digest> leaves;
  leaves.reserve(entries.size());
  uint64_t index = head.size;
  for (v1::LedgerEntry& entry : entries) {
    entry.set_service_time_ms(now_ms);
    const Bytes bytes = statement::SerializeStatement(entry);
    leaves.push_back(statement::LeafHash(StatementType::kLedgerEntry, bytes));
    CS_RETURN_IF_ERROR(transaction.AddLedgerEntry(index++, now_ms, bytes));
  }
  const StoredTiles tiles(transaction);
  CS_ASSIGN_OR_RETURN(const ledger::TreeUpdate update,
                      ledger::Tree(tiles, head.size).Append(leaves));
  for (const ledger::Tile& tile : update.tiles) {
    CS_RETURN_IF_ERROR(
        transaction.PutTile(tile.id.level, tile.id.index, tile.data));
  }
  CS_RETURN_IF_ERROR(transaction.PutLedgerHead(
      {.size = update.head.size, .root = update.head.root}));
  return head.size;
}

Status LedgerWriter::PublishHead(uint64_t index, bool first) {
  const std::lock_guard lock(mutex_);
  // Whoever waited here while another signed finds its entry covered.
  if (published_size_ > index) return {};
  // The lock comes before the look at the database: whatever another process
  // has signed by now, it had committed.
  CS_ASSIGN_OR_RETURN(HeadFile head_file, HeadFile::Lock(head_path_, origin()));
  CheckpointRow checkpoint;
  checkpoint.time_ms = clock_.NowMs();
  CS_RETURN_IF_ERROR(store_.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto kept, head_file.Load());
    if (!kept && !first) {
      return Fail(ErrorCode::kLedgerRolledBack,
                  head_path_ +
                      " is missing: restore it (a host that is new "
                      "to a shared database: countersign-authz store "
                      "join)");
    }
    CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, view.LedgerHead());
    CS_ASSIGN_OR_RETURN(const auto newest, view.NewestCheckpoint());
    checkpoint.size = head.size;
    const StoredTiles tiles(view);
    const ledger::Tree tree(tiles, head.size);
    if (kept && kept->size == head.size && newest &&
        newest->size == head.size) {
      return ledger::CheckExtends(tree, *kept).map([](const auto&) {});
    }
    CS_ASSIGN_OR_RETURN(checkpoint.note,
                        ledger::ExtendHead(tree, key_, head_file));
    return {};
  }));
  if (!checkpoint.note.empty()) {
    CS_RETURN_IF_ERROR(store_.Write([&](StoreTransaction& transaction) {
      return transaction.AddCheckpoint(checkpoint);
    }));
  }
  published_size_ = checkpoint.size;
  return {};
}

Result<ledger::TreeHead> LedgerWriter::Join() {
  const std::lock_guard lock(mutex_);
  CS_ASSIGN_OR_RETURN(HeadFile head_file, HeadFile::Lock(head_path_, origin()));
  CS_ASSIGN_OR_RETURN(const auto kept, head_file.Load());
  if (kept) return Fail(ErrorCode::kBadRequest, head_path_ + " is there");
  ledger::TreeHead trusted;
  const auto check = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto newest, view.NewestCheckpoint());
    if (!newest) return Fail(ErrorCode::kLedgerTruncated, "no checkpoint");
    CS_ASSIGN_OR_RETURN(const ledger::Checkpoint checkpoint,
                        ledger::OpenCheckpoint(newest->note, key_.verifier()));
    trusted = checkpoint.head;
    CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, view.LedgerHead());
    const StoredTiles tiles(view);
    return ledger::CheckExtends(ledger::Tree(tiles, head.size), trusted)
        .map([](const auto&) {});
  };
  CS_RETURN_IF_ERROR(store_.Read(check));
  CS_RETURN_IF_ERROR(head_file.Store(trusted));
  return trusted;
}

Result<v1::LedgerProof> LedgerWriter::Prove(StoreView& view, uint64_t index) {
  CS_ASSIGN_OR_RETURN(const auto checkpoint, view.NewestCheckpoint());
  if (!checkpoint || checkpoint->size <= index) {
    return Fail(ErrorCode::kNotFound,
                "no checkpoint covers entry " + std::to_string(index));
  }
  CS_ASSIGN_OR_RETURN(const auto entries, view.LedgerEntries(index, 1));
  if (entries.empty()) {
    return Fail(ErrorCode::kLedgerTruncated, "entry " + std::to_string(index));
  }
  const StoredTiles tiles(view);
  CS_ASSIGN_OR_RETURN(
      const statement::HashPath path,
      ledger::Tree(tiles, checkpoint->size).InclusionProof(index));
  v1::LedgerProof proof;
  proof.set_index(index);
  proof.set_entry(AsString(entries.front()));
  for (const Sha256Digest& hash : path) proof.add_path(AsString(hash));
  proof.set_checkpoint(checkpoint->note);
  return proof;
}

Result<std::string> SubjectPseudonym(StoreTransaction& transaction,
                                     std::string_view subject) {
  CS_ASSIGN_OR_RETURN(auto key, transaction.FindSubjectKey(subject));
  if (!key) {
    key = RandomBytes(32);
    CS_RETURN_IF_ERROR(transaction.PutSubjectKey(subject, *key));
  }
  return AsString(HmacSha256(*key, AsBytes(subject)));
}

}  // namespace countersign::authz
