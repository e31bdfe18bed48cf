#include "attest/authz/storage/sql_rows.h"
#include "attest/authz/storage/sql_unit.h"

namespace countersign::authz {
namespace {

constexpr int64_t kKeepChallengesMs = 10 * 60 * 1000;
constexpr int64_t kKeepReceiptsMs = 24 * 3600 * 1000;

TokenRow ReadToken(const SqlStatement& row) {
  return {.secret_sha256 = DigestAt(row, 0),
          .kind = row.Int(1) == 1 ? TokenKind::kAdmin : TokenKind::kEnroll,
          .max_uses = row.Int(2),
          .uses = row.Int(3),
          .created_ms = row.Int(4),
          .expires_ms = row.Int(5),
          .revoked = Flag(row, 6)};
}

EnrollmentRow ReadEnrollment(const SqlStatement& row) {
  EnrollmentRow enrollment;
  enrollment.id = row.Blob(0);
  enrollment.attempt = DigestAt(row, 1);
  enrollment.request = row.Blob(2);
  if (!row.IsNull(3)) enrollment.token = DigestAt(row, 3);
  enrollment.token_sha256 = DigestAt(row, 4);
  enrollment.nonce = row.Blob(5);
  enrollment.secret = row.Blob(6);
  enrollment.expires_ms = row.Int(7);
  enrollment.device_id = row.Blob(8);
  return enrollment;
}

DeviceRow ReadDevice(const SqlStatement& row) {
  return {.id = row.Blob(0),
          .record = row.Blob(1),
          .host = row.Blob(2),
          .ak_name = row.Blob(3),
          .enrolled_ms = row.Int(4),
          .enrolled_index = Unsigned(row, 5),
          .revoked = Flag(row, 6),
          .revoked_index = Unsigned(row, 7)};
}

EkRow ReadEk(const SqlStatement& row) {
  return {
      .name = row.Blob(0), .device_id = row.Blob(1), .proven = Flag(row, 2)};
}

AkRow ReadAk(const SqlStatement& row) {
  AkRow ak;
  ak.name = row.Blob(0);
  ak.device_id = row.Blob(1);
  ak.public_area = row.Blob(2);
  ak.qualified_signer = row.Blob(3);
  ak.retired = Flag(row, 4);
  if (!row.IsNull(5)) ak.clock = ClockAt(row, 5);
  ak.seen_ms = row.Int(9);
  return ak;
}

Bytes ReadBlob(const SqlStatement& row) { return row.Blob(0); }

}  // namespace

Result<std::optional<TokenRow>> SqlUnit::FindToken(
    const Sha256Digest& secret_sha256) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT secret_sha256, kind, max_uses, uses, "
                                  "created_ms, expires_ms, revoked "
                                  "FROM tokens WHERE secret_sha256 = ?1"));
  query->Bind(1, ByteSpan(secret_sha256));
  return FirstRow(query, ReadToken);
}

Result<std::vector<TokenRow>> SqlUnit::ListTokens() {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT secret_sha256, kind, max_uses, uses, "
                                  "created_ms, expires_ms, revoked "
                                  "FROM tokens ORDER BY created_ms"));
  return AllRows(query, ReadToken);
}

Status SqlUnit::PutToken(const TokenRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use(
          "INSERT INTO tokens VALUES(?1,?2,?3,?4,?5,?6,?7) "
          "ON CONFLICT(secret_sha256) DO UPDATE SET uses = ?4, revoked = ?7"));
  insert->Bind(1, ByteSpan(row.secret_sha256))
      .Bind(2, static_cast<int64_t>(row.kind))
      .Bind(3, row.max_uses)
      .Bind(4, row.uses)
      .Bind(5, row.created_ms)
      .Bind(6, row.expires_ms)
      .Bind(7, int64_t{row.revoked});
  return insert->Run();
}

Result<std::optional<EnrollmentRow>> SqlUnit::FindEnrollment(ByteSpan id) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT id, attempt, request, token, token_sha256, "
                      "nonce, secret, expires_ms, device_id "
                      "FROM enrollments WHERE id = ?1"));
  query->Bind(1, id);
  return FirstRow(query, ReadEnrollment);
}

Result<std::optional<EnrollmentRow>> SqlUnit::FindEnrollmentByAttempt(
    const Sha256Digest& attempt) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT id, attempt, request, token, token_sha256, "
                      "nonce, secret, expires_ms, device_id "
                      "FROM enrollments WHERE attempt = ?1"));
  query->Bind(1, ByteSpan(attempt));
  return FirstRow(query, ReadEnrollment);
}

Status SqlUnit::PutEnrollment(const EnrollmentRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use(
          "INSERT INTO enrollments VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) "
          "ON CONFLICT(id) DO UPDATE SET request = ?3, token = ?4, "
          "token_sha256 = ?5, nonce = ?6, secret = ?7, expires_ms = ?8, "
          "device_id = ?9"));
  insert->Bind(1, row.id).Bind(2, ByteSpan(row.attempt)).Bind(3, row.request);
  if (row.token) {
    insert->Bind(4, ByteSpan(*row.token));
  } else {
    insert->BindNull(4);
  }
  insert->Bind(5, ByteSpan(row.token_sha256))
      .Bind(6, row.nonce)
      .Bind(7, row.secret)
      .Bind(8, row.expires_ms)
      .Bind(9, row.device_id);
  return insert->Run();
}

Result<std::optional<DeviceRow>> SqlUnit::FindDevice(ByteSpan id) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT id, record, host, ak_name, enrolled_ms, "
                      "enrolled_index, revoked, revoked_index "
                      "FROM devices WHERE id = ?1"));
  query->Bind(1, id);
  return FirstRow(query, ReadDevice);
}

Result<std::vector<DeviceRow>> SqlUnit::ListDevices(ByteSpan after, int limit) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT id, record, host, ak_name, enrolled_ms, "
                      "enrolled_index, revoked, revoked_index "
                      "FROM devices WHERE id > ?1 ORDER BY id LIMIT ?2"));
  query->Bind(1, after).Bind(2, int64_t{limit});
  return AllRows(query, ReadDevice);
}

Status SqlUnit::PutDevice(const DeviceRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO devices VALUES(?1,?2,?3,?4,?5,?6,?7,?8) "
                      "ON CONFLICT(id) DO UPDATE SET record = ?2, host = ?3, "
                      "ak_name = ?4, enrolled_ms = ?5, enrolled_index = ?6, "
                      "revoked = ?7, revoked_index = ?8"));
  insert->Bind(1, row.id)
      .Bind(2, row.record)
      .Bind(3, row.host)
      .Bind(4, row.ak_name)
      .Bind(5, row.enrolled_ms)
      .Bind(6, Stored(row.enrolled_index))
      .Bind(7, int64_t{row.revoked})
      .Bind(8, Stored(row.revoked_index));
  return insert->Run();
}

Result<std::vector<EkRow>> SqlUnit::FindEk(ByteSpan name) {
  CS_ASSIGN_OR_RETURN(auto query,
                      connection_.Use("SELECT name, device_id, proven FROM eks "
                                      "WHERE name = ?1 ORDER BY proven DESC"));
  query->Bind(1, name);
  return AllRows(query, ReadEk);
}

Status SqlUnit::PutEk(const EkRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert, connection_.Use("INSERT INTO eks VALUES(?1,?2,?3) "
                                   "ON CONFLICT(name, device_id) DO UPDATE SET "
                                   "proven = CASE WHEN eks.proven = 1 "
                                   "THEN 1 ELSE ?3 END"));
  insert->Bind(1, row.name).Bind(2, row.device_id).Bind(3, int64_t{row.proven});
  return insert->Run();
}

Result<std::optional<AkRow>> SqlUnit::FindAk(ByteSpan name) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT name, device_id, public_area, qualified_signer, "
                      "retired, reset_count, restart_count, clock_ms, "
                      "clock_safe, seen_ms FROM aks WHERE name = ?1"));
  query->Bind(1, name);
  return FirstRow(query, ReadAk);
}

Status SqlUnit::PutAk(const AkRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use(
          "INSERT INTO aks VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) "
          "ON CONFLICT(name) DO UPDATE SET retired = ?5, reset_count = ?6, "
          "restart_count = ?7, clock_ms = ?8, clock_safe = ?9, "
          "seen_ms = ?10"));
  insert->Bind(1, row.name)
      .Bind(2, row.device_id)
      .Bind(3, row.public_area)
      .Bind(4, row.qualified_signer)
      .Bind(5, int64_t{row.retired})
      .Bind(10, row.seen_ms);
  if (row.clock) {
    BindClock(*insert, 6, *row.clock);
  } else {
    insert->BindNull(6).BindNull(7).BindNull(8).BindNull(9);
  }
  return insert->Run();
}

Status SqlUnit::AddChallenge(const ChallengeRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO challenges VALUES(?1,?2,?3,?4,?5)"));
  insert->Bind(1, row.nonce)
      .Bind(2, row.device_id)
      .Bind(3, row.purpose)
      .Bind(4, row.tls_exporter)
      .Bind(5, row.expires_ms);
  return insert->Run();
}

Result<std::optional<ChallengeRow>> SqlUnit::TakeChallenge(ByteSpan nonce) {
  CS_ASSIGN_OR_RETURN(
      auto take,
      connection_.Use("DELETE FROM challenges WHERE nonce = ?1 RETURNING "
                      "nonce, device_id, purpose, tls_exporter, expires_ms"));
  take->Bind(1, nonce);
  return FirstRow(take, [](const SqlStatement& row) {
    return ChallengeRow{.nonce = row.Blob(0),
                        .device_id = row.Blob(1),
                        .purpose = row.Text(2),
                        .tls_exporter = row.Blob(3),
                        .expires_ms = row.Int(4)};
  });
}

Status SqlUnit::DropExpired(int64_t now_ms) {
  CS_ASSIGN_OR_RETURN(
      auto challenges,
      connection_.Use("DELETE FROM challenges WHERE expires_ms < ?1"));
  challenges->Bind(1, now_ms - kKeepChallengesMs);
  CS_RETURN_IF_ERROR(challenges->Run());
  CS_ASSIGN_OR_RETURN(
      auto enrollments,
      connection_.Use("DELETE FROM enrollments WHERE expires_ms < ?1 AND "
                      "length(device_id) = 0"));
  enrollments->Bind(1, now_ms - kKeepChallengesMs);
  CS_RETURN_IF_ERROR(enrollments->Run());
  CS_ASSIGN_OR_RETURN(
      auto consumed,
      connection_.Use("DELETE FROM consumed WHERE expires_s < ?1"));
  consumed->Bind(1, (now_ms - kKeepReceiptsMs) / 1000);
  return consumed->Run();
}

Result<std::optional<Bytes>> SqlUnit::FindSubjectKey(std::string_view subject) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT key FROM subjects "
                                  "WHERE subject = ?1 AND key IS NOT NULL"));
  query->Bind(1, subject);
  return FirstRow(query, ReadBlob);
}

Status SqlUnit::PutSubjectKey(std::string_view subject, ByteSpan key) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO subjects VALUES(?1,?2) "
                      "ON CONFLICT(subject) DO UPDATE SET key = ?2"));
  insert->Bind(1, subject).Bind(2, key);
  return insert->Run();
}

Result<std::optional<Bytes>> SqlUnit::FindSecret(std::string_view name) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT value FROM secrets WHERE name = ?1"));
  query->Bind(1, name);
  return FirstRow(query, ReadBlob);
}

Status SqlUnit::PutSecret(std::string_view name, ByteSpan value) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO secrets VALUES(?1,?2) "
                      "ON CONFLICT(name) DO UPDATE SET value = ?2"));
  insert->Bind(1, name).Bind(2, value);
  return insert->Run();
}

}  // namespace countersign::authz
