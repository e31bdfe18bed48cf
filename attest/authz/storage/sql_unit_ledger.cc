#include "attest/authz/storage/sql_rows.h"
#include "attest/authz/storage/sql_unit.h"

namespace countersign::authz {
namespace {

Bytes ReadBlob(const SqlStatement& row) { return row.Blob(0); }

CheckpointRow ReadCheckpoint(const SqlStatement& row) {
  return {.size = Unsigned(row, 0), .note = row.Text(1), .time_ms = row.Int(2)};
}

// A signed note without its signatures (C2SP signed-note).
std::string_view SignedText(std::string_view note) {
  return note.substr(0, note.find("\n\n"));
}

}  // namespace

Result<std::optional<Bytes>> SqlUnit::FindEvidence(const Sha256Digest& digest) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT bytes FROM evidence WHERE sha256 = ?1"));
  query->Bind(1, ByteSpan(digest));
  return FirstRow(query, ReadBlob);
}

Status SqlUnit::PutEvidence(const Sha256Digest& digest, ByteSpan bytes) {
  CS_ASSIGN_OR_RETURN(auto insert,
                      connection_.Use("INSERT INTO evidence VALUES(?1,?2) "
                                      "ON CONFLICT DO NOTHING"));
  insert->Bind(1, ByteSpan(digest)).Bind(2, bytes);
  return insert->Run();
}

Result<LedgerHeadRow> SqlUnit::LedgerHead() {
  CS_ASSIGN_OR_RETURN(auto query,
                      connection_.Use("SELECT size, root FROM ledger_head"));
  CS_ASSIGN_OR_RETURN(const auto row,
                      FirstRow(query, [](const SqlStatement& found) {
                        return LedgerHeadRow{.size = Unsigned(found, 0),
                                             .root = DigestAt(found, 1)};
                      }));
  return row.value_or(LedgerHeadRow{});
}

Status SqlUnit::PutLedgerHead(const LedgerHeadRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use(
          "INSERT INTO ledger_head VALUES(1,?1,?2) "
          "ON CONFLICT(\"only\") DO UPDATE SET size = ?1, root = ?2"));
  insert->Bind(1, Stored(row.size)).Bind(2, ByteSpan(row.root));
  return insert->Run();
}

Result<std::vector<Bytes>> SqlUnit::LedgerEntries(uint64_t first,
                                                  uint64_t count) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT idx, entry FROM ledger_entries "
                                  "WHERE idx >= ?1 AND idx < ?2 ORDER BY idx"));
  query->Bind(1, Stored(first)).Bind(2, Stored(first + count));
  std::vector<Bytes> entries;
  while (true) {
    CS_ASSIGN_OR_RETURN(const bool more, query->Step());
    if (!more || Unsigned(*query, 0) != first + entries.size()) return entries;
    entries.push_back(query->Blob(1));
  }
}

Status SqlUnit::AddLedgerEntry(uint64_t index, int64_t time_ms,
                               ByteSpan entry) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO ledger_entries VALUES(?1,?2,?3)"));
  insert->Bind(1, Stored(index)).Bind(2, time_ms).Bind(3, entry);
  return insert->Run();
}

Result<uint64_t> SqlUnit::FirstEntrySince(int64_t since_ms) {
  CS_ASSIGN_OR_RETURN(auto query,
                      // By the index on time: a bare min(idx) would walk the
                      // primary key from the ledger's beginning.
                      connection_.Use("SELECT min(idx + 0) FROM ledger_entries "
                                      "WHERE time_ms >= ?1"));
  query->Bind(1, since_ms);
  CS_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (found && !query->IsNull(0)) return Unsigned(*query, 0);
  CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, LedgerHead());
  return head.size;
}

Result<std::optional<Bytes>> SqlUnit::FindTile(int level, uint64_t index) {
  CS_ASSIGN_OR_RETURN(auto query,
                      connection_.Use("SELECT hashes FROM ledger_tiles "
                                      "WHERE level = ?1 AND idx = ?2"));
  query->Bind(1, int64_t{level}).Bind(2, Stored(index));
  return FirstRow(query, ReadBlob);
}

Status SqlUnit::PutTile(int level, uint64_t index, ByteSpan hashes) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO ledger_tiles VALUES(?1,?2,?3) "
                      "ON CONFLICT(level, idx) DO UPDATE SET hashes = ?3"));
  insert->Bind(1, int64_t{level}).Bind(2, Stored(index)).Bind(3, hashes);
  return insert->Run();
}

Result<std::optional<CheckpointRow>> SqlUnit::CheckpointCovering(
    uint64_t index) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT size, note, time_ms FROM checkpoints "
                                  "WHERE size > ?1 ORDER BY size LIMIT 1"));
  query->Bind(1, Stored(index));
  return FirstRow(query, ReadCheckpoint);
}

Result<std::optional<CheckpointRow>> SqlUnit::NewestCheckpoint() {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT size, note, time_ms FROM checkpoints "
                                  "ORDER BY size DESC LIMIT 1"));
  return FirstRow(query, ReadCheckpoint);
}

Status SqlUnit::AddCheckpoint(const CheckpointRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert, connection_.Use("INSERT INTO checkpoints VALUES(?1,?2,?3) "
                                   "ON CONFLICT DO NOTHING RETURNING size"));
  insert->Bind(1, Stored(row.size)).Bind(2, row.note).Bind(3, row.time_ms);
  CS_ASSIGN_OR_RETURN(const bool added, insert->Step());
  if (added) return {};
  CS_ASSIGN_OR_RETURN(const auto present, CheckpointCovering(row.size - 1));
  if (present && SignedText(present->note) == SignedText(row.note)) return {};
  return Fail(ErrorCode::kLedgerFork,
              "two checkpoints of size " + std::to_string(row.size));
}

}  // namespace countersign::authz
