// A thin owner for SQLite: a connection, a prepared statement, a transaction.
//
// Every database of ours opens the same way: WAL, synchronous=FULL, foreign
// keys on, STRICT tables, a busy timeout. Callers write SQL; nothing here
// builds it from foreign text. Not thread-safe: one connection, one thread.
#ifndef COUNTERSIGN_ATTEST_BASE_SQLITE_H_
#define COUNTERSIGN_ATTEST_BASE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace countersign {

// One prepared statement. Bind by 1-based index, then Step until it says
// false; Reset before the next use. Errors: kDiskFull, kStorageBusy,
// kStorageCorrupt, kIoError.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* db, sqlite3_stmt* statement)
      : db_(db), statement_(statement) {}
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&& other) noexcept;
  ~SqliteStatement();

  SqliteStatement& Bind(int index, int64_t value);
  SqliteStatement& Bind(int index, std::string_view text);
  SqliteStatement& Bind(int index, ByteSpan blob);
  SqliteStatement& BindNull(int index);

  // True while there is a row.
  [[nodiscard]] Result<bool> Step();
  // Runs a statement that returns no rows, then resets it.
  [[nodiscard]] Status Run();
  void Reset();

  [[nodiscard]] int64_t Int(int column) const;
  [[nodiscard]] std::string Text(int column) const;
  [[nodiscard]] Bytes Blob(int column) const;
  [[nodiscard]] bool IsNull(int column) const;

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_;
};

class SqliteDatabase {
 public:
  // Opens or creates the database with mode 0600 and checks it
  // (PRAGMA quick_check); kStorageCorrupt names the path. The check reads the
  // whole file: further connections of a program that made it pass kNone.
  enum class Check : uint8_t { kQuick, kNone };
  [[nodiscard]] static Result<SqliteDatabase> Open(const std::string& path,
                                                   Check check = Check::kQuick);
  SqliteDatabase(SqliteDatabase&& other) noexcept;
  SqliteDatabase& operator=(SqliteDatabase&& other) noexcept;
  ~SqliteDatabase();

  [[nodiscard]] Status Execute(const char* sql);
  [[nodiscard]] Result<SqliteStatement> Prepare(std::string_view sql);
  // Rows changed by the last statement.
  [[nodiscard]] int64_t changes() const;

  // Stored in the file's header (PRAGMA user_version).
  [[nodiscard]] Result<int64_t> SchemaVersion();
  [[nodiscard]] Status SetSchemaVersion(int64_t version);

 private:
  explicit SqliteDatabase(sqlite3* db) : db_(db) {}
  sqlite3* db_;
};

// BEGIN IMMEDIATE at construction; rolls back unless Commit() succeeded.
class SqliteTransaction {
 public:
  [[nodiscard]] static Result<SqliteTransaction> Begin(SqliteDatabase& db);
  SqliteTransaction(SqliteTransaction&& other) noexcept
      : db_(std::exchange(other.db_, nullptr)) {}
  SqliteTransaction& operator=(SqliteTransaction&&) = delete;
  ~SqliteTransaction();
  [[nodiscard]] Status Commit();

 private:
  explicit SqliteTransaction(SqliteDatabase& db) : db_(&db) {}
  SqliteDatabase* db_;
};

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_SQLITE_H_
