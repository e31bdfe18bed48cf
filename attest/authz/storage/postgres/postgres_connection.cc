#include "attest/authz/storage/postgres/postgres_connection.h"

#include <libpq-fe.h>

#include <thread>

#include "attest/authz/storage/postgres/dialect.h"
#include "attest/authz/storage/postgres/postgres_driver.h"
#include "attest/authz/storage/postgres/postgres_session.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

using std::chrono::steady_clock;

// Longer than a session may be idle with a transaction open: by then the
// server has ended the one that was lost, one way or the other.
constexpr std::chrono::seconds kAskOutcomeFor{20};
constexpr std::chrono::milliseconds kAskOutcomeEvery{200};

// Beside the tables of schema.h, those of this driver.
constexpr const char* kOwnTables[] = {
    "CREATE TABLE IF NOT EXISTS schema_version("
    "\"only\" BIGINT PRIMARY KEY CHECK(\"only\" = 1), version BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS writers("
    "id BYTEA PRIMARY KEY, transactions BIGINT NOT NULL, "
    "seen_s BIGINT NOT NULL)"};
// Any number that nobody else takes: two processes must not make tables at
// once. "csgn" in ASCII.
constexpr char kLockMaking[] = "SELECT pg_advisory_xact_lock(1668507502)";

constexpr char kLockHead[] = "SELECT 1 FROM ledger_head FOR UPDATE";
constexpr char kCount[] =
    "INSERT INTO writers "
    "VALUES(?1, ?2, extract(epoch FROM now())::bigint) ON CONFLICT(id) "
    "DO UPDATE SET transactions = ?2, seen_s = EXCLUDED.seen_s";
constexpr char kCounted[] = "SELECT transactions FROM writers WHERE id = ?1";
// Those of processes that are long gone.
constexpr char kForgetWriters[] =
    "DELETE FROM writers "
    "WHERE seen_s < extract(epoch FROM now())::bigint - 604800";

}  // namespace

Result<std::unique_ptr<SqlConnection>> PostgresDriver::Connect() {
  CS_ASSIGN_OR_RETURN(auto link, OpenPostgresSession(uri_));
  return std::make_unique<PostgresConnection>(uri_, std::move(link));
}

PostgresConnection::PostgresConnection(std::string uri,
                                       std::unique_ptr<PostgresLink> link)
    : uri_(std::move(uri)), writer_(RandomBytes(16)), link_(std::move(link)) {}

Status PostgresConnection::Reconnect() {
  CS_ASSIGN_OR_RETURN(auto link, OpenPostgresSession(uri_));
  statements_.clear();
  link_ = std::move(link);
  return {};
}

Status PostgresConnection::Finish() {
  return link_->Finish().map([](const PgResult&) {});
}

Result<SqlCursor> PostgresConnection::Use(const char* sql) {
  std::unique_ptr<PostgresStatement>& statement = statements_[sql];
  if (statement == nullptr) {
    statement = std::make_unique<PostgresStatement>(
        *link_, "s" + std::to_string(statements_.size()),
        PostgresStatementText(sql));
  }
  return SqlCursor(statement.get());
}

Status PostgresConnection::Begin(Purpose purpose) {
  if (!link_->Alive()) CS_RETURN_IF_ERROR(Reconnect());
  Status begun = TryBegin(purpose);
  if (!begun && !link_->Alive()) {
    // Lost in between; nobody has asked for anything yet.
    CS_RETURN_IF_ERROR(Reconnect());
    begun = TryBegin(purpose);
  }
  if (!begun) Rollback();
  return begun;
}

Status PostgresConnection::TryBegin(Purpose purpose) {
  writes_ = purpose != Purpose::kRead;
  if (purpose == Purpose::kRead) {
    return link_->Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  }
  CS_RETURN_IF_ERROR(link_->Queue("BEGIN ISOLATION LEVEL READ COMMITTED"));
  if (purpose == Purpose::kWrite) return LockHead();
  CS_RETURN_IF_ERROR(link_->Queue(kLockMaking));
  for (const char* table : kOwnTables) CS_RETURN_IF_ERROR(link_->Queue(table));
  return Finish();
}

Status PostgresConnection::LockHead() {
  {
    CS_ASSIGN_OR_RETURN(auto lock, Use(kLockHead));
    CS_ASSIGN_OR_RETURN(const bool found, lock->Step());
    if (!found) return Fail(ErrorCode::kStorageCorrupt, "no ledger_head");
  }
  if (transaction_ == 0) {
    CS_ASSIGN_OR_RETURN(auto forget, Use(kForgetWriters));
    CS_RETURN_IF_ERROR(forget->Run());
  }
  CS_ASSIGN_OR_RETURN(auto count, Use(kCount));
  count->Bind(1, writer_).Bind(2, ++transaction_);
  return count->Run();
}

Status PostgresConnection::Commit() {
  Status queued = link_->Queue("COMMIT");
  const Result<PgResult> done =
      queued ? link_->Finish() : tl::unexpected<Error>(queued.error());
  if (done) {
    // A transaction that failed before is ended by COMMIT too, with this tag.
    if (std::string_view(PQcmdStatus(done->get())) == "COMMIT") return {};
    return Fail(ErrorCode::kIoError, "the transaction had failed");
  }
  if (writes_ && !link_->Alive()) return AskOutcome();
  return tl::unexpected<Error>(done.error());
}

Status PostgresConnection::AskOutcome() {
  const auto deadline = steady_clock::now() + kAskOutcomeFor;
  while (steady_clock::now() < deadline) {
    if (Reconnect()) {
      const Result<bool> counted = Counted(transaction_);
      Rollback();
      if (counted && *counted) return {};
      if (counted) {
        return Fail(ErrorCode::kStorageUnavailable,
                    "the connection was lost before the commit");
      }
    }
    std::this_thread::sleep_for(kAskOutcomeEvery);
  }
  return Fail(ErrorCode::kStorageUnavailable,
              "the connection was lost; whether the commit was done is not "
              "known");
}

// The lock is had once the lost transaction has ended.
Result<bool> PostgresConnection::Counted(int64_t transaction) {
  CS_RETURN_IF_ERROR(link_->Queue("BEGIN ISOLATION LEVEL READ COMMITTED"));
  CS_ASSIGN_OR_RETURN(auto lock, Use(kLockHead));
  CS_ASSIGN_OR_RETURN(const bool locked, lock->Step());
  if (!locked) return Fail(ErrorCode::kStorageCorrupt, "no ledger_head");
  CS_ASSIGN_OR_RETURN(auto query, Use(kCounted));
  query->Bind(1, writer_);
  CS_ASSIGN_OR_RETURN(const bool found, query->Step());
  return found && query->Int(0) == transaction;
}

void PostgresConnection::Rollback() {
  if (!writes_) {
    // Nobody waits for the end of a read: what is amiss, the next one finds.
    if (link_->Queue("ROLLBACK") && link_->Send()) return;
    return;
  }
  // Apart from what may have failed before it, or it would be skipped with it.
  if (const Status ignored = Finish(); !ignored && !link_->Alive()) return;
  if (link_->Queue("ROLLBACK") && Finish()) return;
  link_->Close();  // The server rolls back, and Begin connects anew.
}

Status PostgresConnection::BeginUnit() {
  return link_->Queue("SAVEPOINT unit");
}

// Waits, so that an error is the error of the unit that made it.
Status PostgresConnection::KeepUnit() {
  CS_RETURN_IF_ERROR(link_->Queue("RELEASE unit"));
  return Finish();
}

Status PostgresConnection::DropUnit() {
  if (Status failed = Finish(); !failed && !link_->Alive()) return failed;
  CS_RETURN_IF_ERROR(link_->Queue("ROLLBACK TO unit"));
  CS_RETURN_IF_ERROR(link_->Queue("RELEASE unit"));
  return Finish();
}

Result<int64_t> PostgresConnection::SchemaVersion() {
  {
    CS_ASSIGN_OR_RETURN(
        auto made, Use("SELECT to_regclass('schema_version') IS NOT NULL"));
    CS_ASSIGN_OR_RETURN(const bool row, made->Step());
    if (!row || made->Int(0) == 0) return 0;
  }
  CS_ASSIGN_OR_RETURN(auto query, Use("SELECT version FROM schema_version"));
  CS_ASSIGN_OR_RETURN(const bool row, query->Step());
  return row ? query->Int(0) : 0;
}

Status PostgresConnection::SetSchemaVersion(int64_t version) {
  CS_ASSIGN_OR_RETURN(auto insert,
                      Use("INSERT INTO schema_version VALUES(1, ?1) "
                          "ON CONFLICT(\"only\") DO UPDATE SET version = ?1"));
  insert->Bind(1, version);
  return insert->Run();
}

Status PostgresConnection::Define(const char* statements) {
  for (const std::string& statement : PostgresSchema(statements)) {
    CS_RETURN_IF_ERROR(link_->Queue(statement.c_str()));
  }
  return Finish();
}

}  // namespace countersign::authz
