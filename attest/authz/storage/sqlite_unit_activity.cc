#include "attest/authz/storage/sqlite_rows.h"
#include "attest/authz/storage/sqlite_unit.h"

namespace countersign::authz {
namespace {

SessionRow ReadSession(const SqliteStatement& row) {
  return {.id = row.Blob(0),
          .device_id = row.Blob(1),
          .ak_name = row.Blob(2),
          .binding_digest = DigestAt(row, 3),
          .binding = row.Blob(4),
          .subject = row.Text(5),
          .clock = ClockAt(row, 6),
          .pcr_digest = row.Blob(10),
          .evidence_sha256 = DigestAt(row, 11),
          .opened_ms = row.Int(12),
          .expires_ms = row.Int(13),
          .ledger_index = Unsigned(row, 14),
          .end_reason = row.Text(15),
          .ended_ms = row.Int(16),
          .end_index = Unsigned(row, 17)};
}

JournalRow ReadJournal(const SqliteStatement& row) {
  return {.ak_name = row.Blob(0),
          .journal_id = row.Blob(1),
          .next_batch = Unsigned(row, 2),
          .next_action = Unsigned(row, 3),
          .last_digest = DigestAt(row, 4),
          .clock = ClockAt(row, 5)};
}

BatchRow ReadBatch(const SqliteStatement& row) {
  return {.digest = DigestAt(row, 0),
          .device_id = row.Blob(1),
          .ak_name = row.Blob(2),
          .journal_id = row.Blob(3),
          .batch_sequence = Unsigned(row, 4),
          .attest_sha256 = DigestAt(row, 5),
          .evidence_sha256 = DigestAt(row, 6),
          .received_ms = row.Int(7)};
}

ActionRow ReadAction(const SqliteStatement& row) {
  return {.digest = DigestAt(row, 2),
          .batch = DigestAt(row, 0),
          .leaf_index = static_cast<uint32_t>(row.Int(1)),
          .session_id = row.Blob(3),
          .decision = row.Blob(4),
          .receipt_jti = row.Text(5),
          .decided_ms = row.Int(6),
          .ledger_index = Unsigned(row, 7)};
}

// Each table's columns are read in the order of schema.h.
constexpr char kSessionById[] = "SELECT * FROM sessions WHERE id = ?1";
constexpr char kSessionByBinding[] =
    "SELECT * FROM sessions WHERE binding_digest = ?1";
constexpr char kLiveSessions[] =
    "SELECT * FROM sessions WHERE device_id = ?1 AND end_reason = '' "
    "ORDER BY ledger_index";
constexpr char kEndedAfter[] =
    "SELECT * FROM sessions WHERE end_index > ?1 AND end_reason <> '' "
    "ORDER BY end_index LIMIT ?2";
constexpr char kEndedOfDevice[] =
    "SELECT * FROM sessions WHERE device_id = ?3 AND end_index > ?1 "
    "AND end_reason <> '' ORDER BY end_index LIMIT ?2";
constexpr char kActionsOfBatch[] =
    "SELECT * FROM actions WHERE batch = ?1 ORDER BY leaf_index";
constexpr char kActionByDigest[] =
    "SELECT * FROM actions WHERE digest = ?1 ORDER BY ledger_index LIMIT 1";
constexpr char kActionByIndex[] =
    "SELECT * FROM actions WHERE ledger_index = ?1";

}  // namespace

Result<std::optional<SessionRow>> SqliteUnit::FindSession(ByteSpan id) {
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(kSessionById));
  query->Bind(1, id);
  return FirstRow(query, ReadSession);
}

Result<std::optional<SessionRow>> SqliteUnit::FindSessionByBinding(
    const Sha256Digest& binding) {
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(kSessionByBinding));
  query->Bind(1, ByteSpan(binding));
  return FirstRow(query, ReadSession);
}

Result<std::vector<SessionRow>> SqliteUnit::LiveSessions(ByteSpan device_id) {
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(kLiveSessions));
  query->Bind(1, device_id);
  return AllRows(query, ReadSession);
}

Result<std::vector<SessionRow>> SqliteUnit::SessionsEndedAfter(
    uint64_t index, ByteSpan device_id, int limit) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use(device_id.empty() ? kEndedAfter : kEndedOfDevice));
  query->Bind(1, Stored(index)).Bind(2, int64_t{limit});
  if (!device_id.empty()) query->Bind(3, device_id);
  return AllRows(query, ReadSession);
}

Status SqliteUnit::PutSession(const SessionRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO sessions VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,"
                      "?10,?11,?12,?13,?14,?15,?16,?17,?18) "
                      "ON CONFLICT(id) DO UPDATE SET end_reason = ?16, "
                      "ended_ms = ?17, end_index = ?18"));
  insert->Bind(1, row.id)
      .Bind(2, row.device_id)
      .Bind(3, row.ak_name)
      .Bind(4, ByteSpan(row.binding_digest))
      .Bind(5, row.binding)
      .Bind(6, row.subject)
      .Bind(11, row.pcr_digest)
      .Bind(12, ByteSpan(row.evidence_sha256))
      .Bind(13, row.opened_ms)
      .Bind(14, row.expires_ms)
      .Bind(15, Stored(row.ledger_index))
      .Bind(16, row.end_reason)
      .Bind(17, row.ended_ms)
      .Bind(18, Stored(row.end_index));
  BindClock(*insert, 7, row.clock);
  return insert->Run();
}

Result<std::optional<JournalRow>> SqliteUnit::FindJournal(ByteSpan ak_name,
                                                          ByteSpan journal_id) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT * FROM journals "
                                  "WHERE ak_name = ?1 AND journal_id = ?2"));
  query->Bind(1, ak_name).Bind(2, journal_id);
  return FirstRow(query, ReadJournal);
}

Result<bool> SqliteUnit::HasJournal(ByteSpan ak_name) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT 1 FROM journals WHERE ak_name = ?1 LIMIT 1"));
  query->Bind(1, ak_name);
  return query->Step();
}

Status SqliteUnit::PutJournal(const JournalRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO journals VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) "
                      "ON CONFLICT DO UPDATE SET next_batch = ?3, "
                      "next_action = ?4, last_digest = ?5, reset_count = ?6, "
                      "restart_count = ?7, clock_ms = ?8, clock_safe = ?9"));
  insert->Bind(1, row.ak_name)
      .Bind(2, row.journal_id)
      .Bind(3, Stored(row.next_batch))
      .Bind(4, Stored(row.next_action))
      .Bind(5, ByteSpan(row.last_digest));
  BindClock(*insert, 6, row.clock);
  return insert->Run();
}

Result<std::optional<BatchRow>> SqliteUnit::FindBatch(
    const Sha256Digest& digest) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT * FROM batches WHERE digest = ?1"));
  query->Bind(1, ByteSpan(digest));
  return FirstRow(query, ReadBatch);
}

Status SqliteUnit::AddBatch(const BatchRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO batches VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"));
  insert->Bind(1, ByteSpan(row.digest))
      .Bind(2, row.device_id)
      .Bind(3, row.ak_name)
      .Bind(4, row.journal_id)
      .Bind(5, Stored(row.batch_sequence))
      .Bind(6, ByteSpan(row.attest_sha256))
      .Bind(7, ByteSpan(row.evidence_sha256))
      .Bind(8, row.received_ms);
  return insert->Run();
}

Result<std::vector<ActionRow>> SqliteUnit::ActionsOfBatch(
    const Sha256Digest& batch) {
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(kActionsOfBatch));
  query->Bind(1, ByteSpan(batch));
  return AllRows(query, ReadAction);
}

Result<std::optional<ActionRow>> SqliteUnit::FindAction(
    const Sha256Digest& digest) {
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(kActionByDigest));
  query->Bind(1, ByteSpan(digest));
  return FirstRow(query, ReadAction);
}

Result<std::optional<ActionRow>> SqliteUnit::FindActionByIndex(
    uint64_t ledger_index) {
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(kActionByIndex));
  query->Bind(1, Stored(ledger_index));
  return FirstRow(query, ReadAction);
}

Status SqliteUnit::AddAction(const ActionRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO actions VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"));
  insert->Bind(1, ByteSpan(row.batch))
      .Bind(2, int64_t{row.leaf_index})
      .Bind(3, ByteSpan(row.digest))
      .Bind(4, row.session_id)
      .Bind(5, row.decision)
      .Bind(6, row.receipt_jti)
      .Bind(7, row.decided_ms)
      .Bind(8, Stored(row.ledger_index));
  return insert->Run();
}

// The table has its name from what it held first.
Result<bool> SqliteUnit::ConsumeOnce(std::string_view name, int64_t expires_s) {
  CS_ASSIGN_OR_RETURN(auto insert,
                      connection_.Use("INSERT INTO receipts VALUES(?1,?2) "
                                      "ON CONFLICT DO NOTHING"));
  insert->Bind(1, name).Bind(2, expires_s);
  CS_RETURN_IF_ERROR(insert->Run());
  return connection_.db().changes() == 1;
}

}  // namespace countersign::authz
