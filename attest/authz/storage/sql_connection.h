// What the store needs of a database: prepared statements, three kinds of
// transaction, and units that can be undone within one. Two drivers have it,
// sqlite/ and postgres/; all SQL above it is written once, for both:
//
//   - parameters are ?1, ?2, …; whole numbers are 64 bits, everything else is
//     bytes (a string is bytes as well: no encoding, no collation)
//   - INSERT … ON CONFLICT(columns) DO UPDATE, or DO NOTHING
//   - how many rows a statement touched is learnt with RETURNING
//
// One thread at a time.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_CONNECTION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::authz {

// A prepared statement. Bind by 1-based index; then either Step until it says
// false, or Run. Columns count from 0.
class SqlStatement {
 public:
  virtual ~SqlStatement() = default;

  virtual SqlStatement& Bind(int index, int64_t value) = 0;
  virtual SqlStatement& Bind(int index, std::string_view text) = 0;
  virtual SqlStatement& Bind(int index, ByteSpan blob) = 0;
  virtual SqlStatement& BindNull(int index) = 0;

  // True while there is a row.
  [[nodiscard]] virtual Result<bool> Step() = 0;
  // For a statement whose rows nobody reads. It may be sent later, with those
  // that follow: its error is then the error of the next Step, of the unit's
  // end or of the commit, whichever comes first.
  [[nodiscard]] virtual Status Run() = 0;
  virtual void Reset() = 0;

  [[nodiscard]] virtual int64_t Int(int column) const = 0;
  [[nodiscard]] virtual std::string Text(int column) const = 0;
  [[nodiscard]] virtual Bytes Blob(int column) const = 0;
  [[nodiscard]] virtual bool IsNull(int column) const = 0;
};

// A statement in use. Resets it in the end, so that no cursor stays open over
// the end of a transaction.
class SqlCursor {
 public:
  explicit SqlCursor(SqlStatement* statement) : statement_(statement) {}
  SqlCursor(SqlCursor&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)) {}
  SqlCursor& operator=(SqlCursor&&) = delete;
  ~SqlCursor() {
    if (statement_ != nullptr) statement_->Reset();
  }
  SqlStatement* operator->() const { return statement_; }
  SqlStatement& operator*() const { return *statement_; }

 private:
  SqlStatement* statement_;
};

// Errors of every function: kDiskFull, kStorageBusy, kStorageUnavailable,
// kStorageCorrupt, kIoError.
class SqlConnection {
 public:
  enum class Purpose : uint8_t {
    kRead,   // One consistent state, which nobody's writes change.
    kWrite,  // Alone among all writers of all processes, from its beginning.
    kMake,   // As kWrite, where there are no tables yet.
  };

  virtual ~SqlConnection() = default;

  // `sql` is a string literal: statements are kept by its address. A statement
  // is used by one cursor at a time.
  [[nodiscard]] virtual Result<SqlCursor> Use(const char* sql) = 0;

  [[nodiscard]] virtual Status Begin(Purpose purpose) = 0;
  // Durable when it returns. An error means that nothing was committed, or
  // that nobody can tell whether it was (kStorageUnavailable): never report
  // it as done, and repeat only what can be repeated.
  [[nodiscard]] virtual Status Commit() = 0;
  // Ends the transaction without its writes. What cannot be rolled back is
  // rolled back by the database when the connection goes.
  virtual void Rollback() = 0;

  // A part of a write that can be dropped alone. Not nested. After an error
  // of KeepUnit the unit still has to be dropped.
  [[nodiscard]] virtual Status BeginUnit() = 0;
  [[nodiscard]] virtual Status KeepUnit() = 0;
  [[nodiscard]] virtual Status DropUnit() = 0;

  // For migrations.h: 0 where there is no schema yet.
  [[nodiscard]] virtual Result<int64_t> SchemaVersion() = 0;
  [[nodiscard]] virtual Status SetSchemaVersion(int64_t version) = 0;
  // Statements of schema.h, each ended by ';'.
  [[nodiscard]] virtual Status Define(const char* statements) = 0;
};

// One database, as far as its connections.
class SqlDriver {
 public:
  virtual ~SqlDriver() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<SqlConnection>> Connect() = 0;
  // For messages; holds no secret.
  [[nodiscard]] virtual const std::string& name() const = 0;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_CONNECTION_H_
