#include "attest/authz/storage/sql_rows.h"
#include "attest/authz/storage/sql_unit.h"

namespace countersign::authz {
namespace {

ClientRow ReadClient(const SqlStatement& row) {
  ClientRow client{.name = row.Text(0),
                   .audience = row.Text(1),
                   .secret_sha256 = {},
                   .jwks = row.Text(3),
                   .created_ms = row.Int(4),
                   .revoked = Flag(row, 5)};
  if (!row.IsNull(2)) client.secret_sha256 = DigestAt(row, 2);
  return client;
}

GrantRevocationRow ReadRevocation(const SqlStatement& row) {
  return {.ledger_index = Unsigned(row, 0),
          .revoked_ms = row.Int(1),
          .revoked_index = Unsigned(row, 2)};
}

constexpr char kEndedGrants[] =
    "SELECT a.ledger_index FROM actions a "
    "JOIN sessions s ON s.id = a.session_id "
    "JOIN devices d ON d.id = s.device_id "
    "LEFT JOIN grant_revocations r ON r.ledger_index = a.ledger_index "
    "WHERE a.ledger_index >= ?1 AND a.ledger_index < ?2 "
    "AND (s.end_reason <> '' OR s.expires_ms <= ?3 OR d.revoked = 1 "
    "OR r.ledger_index IS NOT NULL) ORDER BY a.ledger_index";

}  // namespace

Result<std::optional<ClientRow>> SqlUnit::FindClient(std::string_view name) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use("SELECT * FROM oauth_clients WHERE name = ?1"));
  query->Bind(1, name);
  return FirstRow(query, ReadClient);
}

Result<std::vector<ClientRow>> SqlUnit::ListClients() {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT * FROM oauth_clients ORDER BY name"));
  return AllRows(query, ReadClient);
}

Status SqlUnit::PutClient(const ClientRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO oauth_clients VALUES(?1,?2,?3,?4,?5,?6) "
                      "ON CONFLICT(name) DO UPDATE SET audience = ?2, "
                      "secret_sha256 = ?3, jwks = ?4, created_ms = ?5, "
                      "revoked = ?6"));
  insert->Bind(1, row.name)
      .Bind(2, row.audience)
      .Bind(4, row.jwks)
      .Bind(5, row.created_ms)
      .Bind(6, int64_t{row.revoked});
  if (row.secret_sha256) {
    insert->Bind(3, ByteSpan(*row.secret_sha256));
  } else {
    insert->BindNull(3);
  }
  return insert->Run();
}

Result<std::optional<GrantRevocationRow>> SqlUnit::FindGrantRevocation(
    uint64_t ledger_index) {
  CS_ASSIGN_OR_RETURN(
      auto query,
      connection_.Use(
          "SELECT * FROM grant_revocations WHERE ledger_index = ?1"));
  query->Bind(1, Stored(ledger_index));
  return FirstRow(query, ReadRevocation);
}

Status SqlUnit::PutGrantRevocation(const GrantRevocationRow& row) {
  CS_ASSIGN_OR_RETURN(
      auto insert,
      connection_.Use("INSERT INTO grant_revocations VALUES(?1,?2,?3) "
                      "ON CONFLICT(ledger_index) DO NOTHING"));
  insert->Bind(1, Stored(row.ledger_index))
      .Bind(2, row.revoked_ms)
      .Bind(3, Stored(row.revoked_index));
  return insert->Run();
}

Result<std::vector<uint64_t>> SqlUnit::EndedGrants(uint64_t first, uint64_t end,
                                                   int64_t now_ms) {
  CS_ASSIGN_OR_RETURN(auto query, connection_.Use(kEndedGrants));
  query->Bind(1, Stored(first)).Bind(2, Stored(end)).Bind(3, now_ms);
  return AllRows(query,
                 [](const SqlStatement& row) { return Unsigned(row, 0); });
}

}  // namespace countersign::authz
