#include "attest/authz/storage/sql_rows.h"
#include "attest/authz/storage/sql_unit.h"

namespace countersign::authz {
namespace {

// Groups hold no line breaks: CheckText lets none through.
std::string Joined(const std::vector<std::string>& groups) {
  std::string text;
  for (const std::string& group : groups) text += group + '\n';
  return text;
}

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> groups;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    groups.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return groups;
}

LoginRow ReadLogin(const SqlStatement& row) {
  return {.id = row.Blob(0),
          .device_id = row.Blob(1),
          .os_id = row.Text(2),
          .subject = row.Text(3),
          .provider_session = row.Text(4),
          .method = row.Text(5),
          .groups = Split(row.Text(6)),
          .acr = row.Text(7),
          .auth_time_s = row.Int(8),
          .created_ms = row.Int(9),
          .expires_ms = row.Int(10),
          .evidence_sha256 = DigestAt(row, 11),
          .ledger_index = Unsigned(row, 12),
          .end_reason = row.Text(13),
          .ended_ms = row.Int(14),
          .end_index = Unsigned(row, 15)};
}

PendingLoginRow ReadPending(const SqlStatement& row) {
  return {.id = row.Blob(0),
          .device_id = row.Blob(1),
          .evidence = row.Blob(2),
          .attest_sha256 = DigestAt(row, 3),
          .device_code = row.Text(4),
          .interval_s = row.Int(5),
          .next_poll_ms = row.Int(6),
          .expires_ms = row.Int(7),
          .login_id = row.Blob(8)};
}

// Each table's columns are read in the order of schema.h.
constexpr char kLiveOfSubject[] =
    "SELECT * FROM logins WHERE subject = ?1 AND end_reason = '' "
    "ORDER BY ledger_index";
constexpr char kLiveOfSession[] =
    "SELECT * FROM logins WHERE provider_session = ?1 AND end_reason = '' "
    "ORDER BY ledger_index";

}  // namespace

Result<std::optional<LoginRow>> SqlUnit::FindLogin(ByteSpan id) {
  CS_ASSIGN_OR_RETURN(auto query,
                      connection_.Use("SELECT * FROM logins WHERE id = ?1"));
  query->Bind(1, id);
  return FirstRow(query, ReadLogin);
}

Result<std::vector<LoginRow>> SqlUnit::LiveLogins(ByteSpan device_id) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT * FROM logins WHERE device_id = ?1 "
                                  "AND end_reason = '' "
                                  "ORDER BY ledger_index"));
  query->Bind(1, device_id);
  return AllRows(query, ReadLogin);
}

Result<std::vector<LoginRow>> SqlUnit::LiveLoginsOf(
    std::string_view subject, std::string_view provider_session) {
  const bool by_subject = !subject.empty();
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(by_subject ? kLiveOfSubject
                                                             : kLiveOfSession));
  query->Bind(1, by_subject ? subject : provider_session);
  CS_ASSIGN_OR_RETURN(auto rows, AllRows(query, ReadLogin));
  if (by_subject && !provider_session.empty()) {
    std::erase_if(rows, [provider_session](const LoginRow& row) {
      return !row.provider_session.empty() &&
             row.provider_session != provider_session;
    });
  }
  return rows;
}

Result<std::optional<PendingLoginRow>> SqlUnit::FindPendingLogin(ByteSpan id) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT * FROM pending_logins WHERE id = ?1"));
  query->Bind(1, id);
  return FirstRow(query, ReadPending);
}

Status SqlUnit::PutLogin(const LoginRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO logins VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,"
                      "?10,?11,?12,?13,?14,?15,?16) "
                      "ON CONFLICT(id) DO UPDATE SET end_reason = ?14, "
                      "ended_ms = ?15, end_index = ?16"));
  const std::string groups = Joined(row.groups);
  insert->Bind(1, row.id)
      .Bind(2, row.device_id)
      .Bind(3, row.os_id)
      .Bind(4, row.subject)
      .Bind(5, row.provider_session)
      .Bind(6, row.method)
      .Bind(7, groups)
      .Bind(8, row.acr)
      .Bind(9, row.auth_time_s)
      .Bind(10, row.created_ms)
      .Bind(11, row.expires_ms)
      .Bind(12, ByteSpan(row.evidence_sha256))
      .Bind(13, Stored(row.ledger_index))
      .Bind(14, row.end_reason)
      .Bind(15, row.ended_ms)
      .Bind(16, Stored(row.end_index));
  return insert->Run();
}

Status SqlUnit::PutPendingLogin(const PendingLoginRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use(
          "INSERT INTO pending_logins VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) "
          "ON CONFLICT(id) DO UPDATE SET interval_s = ?6, "
          "next_poll_ms = ?7, login_id = ?9"));
  insert->Bind(1, row.id)
      .Bind(2, row.device_id)
      .Bind(3, row.evidence)
      .Bind(4, ByteSpan(row.attest_sha256))
      .Bind(5, row.device_code)
      .Bind(6, row.interval_s)
      .Bind(7, row.next_poll_ms)
      .Bind(8, row.expires_ms)
      .Bind(9, row.login_id);
  return insert->Run();
}

Status SqlUnit::DropPendingLogins(int64_t now_ms) {
  CS_ASSIGN_OR_RETURN(
      auto drop,
      connection_.Use("DELETE FROM pending_logins WHERE expires_ms < ?1"));
  drop->Bind(1, now_ms);
  return drop->Run();
}

}  // namespace countersign::authz
