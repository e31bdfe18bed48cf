#include "attest/base/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace countersign {
namespace {

tl::unexpected<Error> SqliteFailure(sqlite3* db, int rc) {
  std::string detail = std::string(sqlite3_errstr(rc));
  if (db != nullptr) detail = detail + ": " + sqlite3_errmsg(db);
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return Fail(ErrorCode::kDiskFull, detail);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Fail(ErrorCode::kStorageBusy, detail);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Fail(ErrorCode::kStorageCorrupt, detail);
    default:
      return Fail(ErrorCode::kIoError, detail);
  }
}

// SQLite creates files with the process's umask; a database of ours is born
// 0600, and its -wal and -shm inherit that mode. A file that exists is never
// opened here: closing it would drop the locks that SQLite holds on it for
// other connections of this process (fcntl locks belong to the process), and
// another process would then take the -wal for abandoned and delete it.
Status CreatePrivate(const std::string& path) {
  const int fd =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
             S_IRUSR | S_IWUSR);
  if (fd >= 0) {
    ::close(fd);
    return {};
  }
  struct stat info {};
  if (errno == EEXIST && ::lstat(path.c_str(), &info) == 0) {
    if (S_ISREG(info.st_mode)) return {};
    return Fail(ErrorCode::kUnsafePath, path + ": not a regular file");
  }
  const ErrorCode code =
      errno == ENOSPC ? ErrorCode::kDiskFull : ErrorCode::kIoError;
  return Fail(code, path + ": " + std::strerror(errno));
}

}  // namespace

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)) {}

SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(statement_, other.statement_);
  return *this;
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

SqliteStatement& SqliteStatement::Bind(int index, int64_t value) {
  sqlite3_bind_int64(statement_, index, value);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int index, std::string_view text) {
  sqlite3_bind_text64(statement_, index, text.data(), text.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int index, ByteSpan blob) {
  if (blob.empty()) {
    sqlite3_bind_zeroblob(statement_, index, 0);
  } else {
    sqlite3_bind_blob64(statement_, index, blob.data(), blob.size(),
                        SQLITE_TRANSIENT);
  }
  return *this;
}

SqliteStatement& SqliteStatement::BindNull(int index) {
  sqlite3_bind_null(statement_, index);
  return *this;
}

Result<bool> SqliteStatement::Step() {
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return SqliteFailure(db_, rc);
}

Status SqliteStatement::Run() {
  const Result<bool> row = Step();
  Reset();
  if (!row.has_value()) return tl::unexpected<Error>(row.error());
  return {};
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

int64_t SqliteStatement::Int(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string SqliteStatement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

Bytes SqliteStatement::Blob(int column) const {
  const auto* data =
      static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
  if (data == nullptr) return {};
  return {data, data + sqlite3_column_bytes(statement_, column)};
}

bool SqliteStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<SqliteDatabase> SqliteDatabase::Open(const std::string& path,
                                            Check how) {
  CS_RETURN_IF_ERROR(CreatePrivate(path));
  sqlite3* raw = nullptr;
  const int rc =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                          SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
                      nullptr);
  SqliteDatabase db(raw);
  if (rc != SQLITE_OK) return SqliteFailure(raw, rc);
  sqlite3_busy_timeout(raw, 5000);
  CS_RETURN_IF_ERROR(
      db.Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                 "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
                 "PRAGMA cell_size_check=ON;"));
  if (how == Check::kNone) return db;
  CS_ASSIGN_OR_RETURN(auto check, db.Prepare("PRAGMA quick_check(1)"));
  CS_ASSIGN_OR_RETURN(const bool row, check.Step());
  if (!row || check.Text(0) != "ok") {
    return Fail(ErrorCode::kStorageCorrupt, path + ": " + check.Text(0));
  }
  return db;
}

SqliteDatabase::SqliteDatabase(SqliteDatabase&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)) {}

SqliteDatabase& SqliteDatabase::operator=(SqliteDatabase&& other) noexcept {
  std::swap(db_, other.db_);
  return *this;
}

SqliteDatabase::~SqliteDatabase() { sqlite3_close_v2(db_); }

Status SqliteDatabase::Execute(const char* sql) {
  const int rc = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return SqliteFailure(db_, rc);
  return {};
}

Result<SqliteStatement> SqliteDatabase::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int rc =
      sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (rc != SQLITE_OK) return SqliteFailure(db_, rc);
  return SqliteStatement(db_, statement);
}

int64_t SqliteDatabase::changes() const { return sqlite3_changes64(db_); }

Result<int64_t> SqliteDatabase::SchemaVersion() {
  CS_ASSIGN_OR_RETURN(auto statement, Prepare("PRAGMA user_version"));
  CS_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

Status SqliteDatabase::SetSchemaVersion(int64_t version) {
  const std::string sql = "PRAGMA user_version=" + std::to_string(version);
  return Execute(sql.c_str());
}

Result<SqliteTransaction> SqliteTransaction::Begin(SqliteDatabase& db) {
  CS_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  return SqliteTransaction(db);
}

SqliteTransaction::~SqliteTransaction() {
  if (db_ == nullptr) return;
  // A failed rollback leaves nothing to do: the connection closes with it.
  if (const Status rolled_back = db_->Execute("ROLLBACK"); !rolled_back) return;
}

Status SqliteTransaction::Commit() {
  CS_RETURN_IF_ERROR(db_->Execute("COMMIT"));
  db_ = nullptr;
  return {};
}

}  // namespace countersign
