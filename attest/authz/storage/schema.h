// The tables of the store, in the SQLite dialect; postgres/ reads the same text
// with its own words for types (postgres/dialect.h). So a table needs nothing
// but columns of INTEGER, TEXT and BLOB, keys, references, checks and indexes.
//
// A released version never changes. What is new goes into the newest one, as a
// text of its own, named in its list below: an empty database goes through all
// versions, an older one through those that it lacks (migrations.h). An older
// program refuses a newer database.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SCHEMA_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SCHEMA_H_

#include <cstdint>
#include <span>

namespace countersign::authz {

// Version 1.
inline constexpr char kFirstTables[] = R"sql(
CREATE TABLE tokens(
  secret_sha256 BLOB PRIMARY KEY, kind INTEGER NOT NULL,
  max_uses INTEGER NOT NULL, uses INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
  revoked INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE enrollments(
  id BLOB PRIMARY KEY, attempt BLOB NOT NULL UNIQUE, request BLOB NOT NULL,
  token BLOB, token_sha256 BLOB NOT NULL, nonce BLOB NOT NULL,
  secret BLOB NOT NULL, expires_ms INTEGER NOT NULL,
  device_id BLOB NOT NULL) STRICT;
CREATE INDEX enrollments_by_expiry ON enrollments(expires_ms)
  WHERE length(device_id) = 0;
CREATE TABLE devices(
  id BLOB PRIMARY KEY, record BLOB NOT NULL, host BLOB NOT NULL,
  ak_name BLOB NOT NULL, enrolled_ms INTEGER NOT NULL,
  enrolled_index INTEGER NOT NULL, revoked INTEGER NOT NULL,
  revoked_index INTEGER NOT NULL) STRICT;
CREATE TABLE eks(
  name BLOB NOT NULL, device_id BLOB NOT NULL REFERENCES devices(id),
  proven INTEGER NOT NULL,
  PRIMARY KEY(name, device_id)) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX eks_one_holder ON eks(name) WHERE proven = 1;
CREATE TABLE aks(
  name BLOB PRIMARY KEY, device_id BLOB NOT NULL REFERENCES devices(id),
  public_area BLOB NOT NULL, qualified_signer BLOB NOT NULL,
  retired INTEGER NOT NULL, reset_count INTEGER, restart_count INTEGER,
  clock_ms INTEGER, clock_safe INTEGER, seen_ms INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE TABLE challenges(
  nonce BLOB PRIMARY KEY, device_id BLOB NOT NULL, purpose TEXT NOT NULL,
  tls_exporter BLOB NOT NULL, expires_ms INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE INDEX challenges_by_expiry ON challenges(expires_ms);
CREATE TABLE sessions(
  id BLOB PRIMARY KEY, device_id BLOB NOT NULL REFERENCES devices(id),
  ak_name BLOB NOT NULL, binding_digest BLOB NOT NULL UNIQUE,
  binding BLOB NOT NULL, subject TEXT NOT NULL, reset_count INTEGER NOT NULL,
  restart_count INTEGER NOT NULL, clock_ms INTEGER NOT NULL,
  clock_safe INTEGER NOT NULL, pcr_digest BLOB NOT NULL,
  evidence_sha256 BLOB NOT NULL, opened_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL, ledger_index INTEGER NOT NULL,
  end_reason TEXT NOT NULL, ended_ms INTEGER NOT NULL,
  end_index INTEGER NOT NULL) STRICT;
CREATE INDEX sessions_live ON sessions(device_id) WHERE end_reason = '';
CREATE TABLE journals(
  ak_name BLOB NOT NULL, journal_id BLOB NOT NULL,
  next_batch INTEGER NOT NULL, next_action INTEGER NOT NULL,
  last_digest BLOB NOT NULL, reset_count INTEGER NOT NULL,
  restart_count INTEGER NOT NULL, clock_ms INTEGER NOT NULL,
  clock_safe INTEGER NOT NULL,
  PRIMARY KEY(ak_name, journal_id)) STRICT, WITHOUT ROWID;
CREATE TABLE batches(
  digest BLOB PRIMARY KEY, device_id BLOB NOT NULL, ak_name BLOB NOT NULL,
  journal_id BLOB NOT NULL, batch_sequence INTEGER NOT NULL,
  attest_sha256 BLOB NOT NULL, evidence_sha256 BLOB NOT NULL,
  received_ms INTEGER NOT NULL,
  UNIQUE(ak_name, journal_id, batch_sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE actions(
  batch BLOB NOT NULL REFERENCES batches(digest), leaf_index INTEGER NOT NULL,
  digest BLOB NOT NULL, session_id BLOB NOT NULL, decision BLOB NOT NULL,
  receipt_jti TEXT NOT NULL, decided_ms INTEGER NOT NULL,
  ledger_index INTEGER NOT NULL UNIQUE,
  PRIMARY KEY(batch, leaf_index)) STRICT, WITHOUT ROWID;
CREATE INDEX actions_by_digest ON actions(digest, ledger_index);
CREATE TABLE receipts(
  jti TEXT PRIMARY KEY, expires_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_by_expiry ON receipts(expires_s);
CREATE TABLE evidence(
  sha256 BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE subjects(
  subject TEXT PRIMARY KEY, key BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE secrets(
  name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_entries(
  idx INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL,
  entry BLOB NOT NULL) STRICT;
CREATE INDEX ledger_entries_by_time ON ledger_entries(time_ms);
CREATE TABLE ledger_tiles(
  level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL,
  PRIMARY KEY(level, idx)) STRICT;
CREATE TABLE ledger_head(
  "only" INTEGER PRIMARY KEY CHECK("only" = 1), size INTEGER NOT NULL,
  root BLOB NOT NULL) STRICT;
CREATE TABLE checkpoints(
  size INTEGER PRIMARY KEY, note TEXT NOT NULL,
  time_ms INTEGER NOT NULL) STRICT;
)sql";

// Version 2. What is accepted once is more than receipts.
inline constexpr char kConsumed[] = R"sql(
ALTER TABLE receipts RENAME TO consumed;
ALTER TABLE consumed RENAME COLUMN jti TO name;
DROP INDEX receipts_by_expiry;
CREATE INDEX consumed_by_expiry ON consumed(expires_s);
)sql";

// What a held request asks for (events.h).
inline constexpr char kEndedSessions[] = R"sql(
CREATE INDEX sessions_ended ON sessions(end_index) WHERE end_reason <> '';
CREATE INDEX sessions_ended_of_device ON sessions(device_id, end_index)
  WHERE end_reason <> '';
)sql";

// Resource servers, and grants that were revoked (oauth/).
inline constexpr char kGrants[] = R"sql(
CREATE TABLE oauth_clients(
  name TEXT PRIMARY KEY, audience TEXT NOT NULL, secret_sha256 BLOB,
  jwks TEXT NOT NULL, created_ms INTEGER NOT NULL,
  revoked INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE grant_revocations(
  ledger_index INTEGER PRIMARY KEY, revoked_ms INTEGER NOT NULL,
  revoked_index INTEGER NOT NULL) STRICT;
)sql";

// How much each task of a session has done (policy/).
inline constexpr char kTasks[] = R"sql(
CREATE TABLE tasks(
  session_id BLOB NOT NULL, task_id TEXT NOT NULL, actions INTEGER NOT NULL,
  PRIMARY KEY(session_id, task_id)) STRICT, WITHOUT ROWID;
)sql";

// Users that an identity provider verified (login/).
inline constexpr char kLogins[] = R"sql(
CREATE TABLE logins(
  id BLOB PRIMARY KEY, device_id BLOB NOT NULL REFERENCES devices(id),
  os_id TEXT NOT NULL, subject TEXT NOT NULL, provider_session TEXT NOT NULL,
  method TEXT NOT NULL, groups TEXT NOT NULL, acr TEXT NOT NULL,
  auth_time_s INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL, evidence_sha256 BLOB NOT NULL,
  ledger_index INTEGER NOT NULL, end_reason TEXT NOT NULL,
  ended_ms INTEGER NOT NULL, end_index INTEGER NOT NULL) STRICT;
CREATE INDEX logins_live ON logins(device_id) WHERE end_reason = '';
CREATE INDEX logins_of_subject ON logins(subject) WHERE end_reason = '';
CREATE INDEX logins_of_session ON logins(provider_session)
  WHERE end_reason = '';
CREATE TABLE pending_logins(
  id BLOB PRIMARY KEY, device_id BLOB NOT NULL, evidence BLOB NOT NULL,
  attest_sha256 BLOB NOT NULL, device_code TEXT NOT NULL,
  interval_s INTEGER NOT NULL, next_poll_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL, login_id BLOB NOT NULL) STRICT;
)sql";

inline constexpr const char* kVersion1[] = {kFirstTables};
inline constexpr const char* kVersion2[] = {kConsumed, kEndedSessions, kGrants,
                                            kTasks, kLogins};

inline constexpr std::span<const char* const> kVersions[] = {kVersion1,
                                                             kVersion2};
inline constexpr int64_t kSchemaVersion = std::size(kVersions);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SCHEMA_H_
