// One SQLite connection with its prepared statements, kept between uses.
// One thread at a time.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_CONNECTION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_CONNECTION_H_

#include <unordered_map>

#include "attest/base/sqlite.h"

namespace countersign::authz {

// A statement in use. Resets itself, so that no cursor stays open over the
// end of a transaction.
class SqliteCursor {
 public:
  explicit SqliteCursor(SqliteStatement* statement) : statement_(statement) {}
  SqliteCursor(SqliteCursor&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)) {}
  SqliteCursor& operator=(SqliteCursor&&) = delete;
  ~SqliteCursor() {
    if (statement_ != nullptr) statement_->Reset();
  }
  SqliteStatement* operator->() const { return statement_; }
  SqliteStatement& operator*() const { return *statement_; }

 private:
  SqliteStatement* statement_;
};

class SqliteConnection {
 public:
  explicit SqliteConnection(SqliteDatabase db) : db_(std::move(db)) {}

  SqliteDatabase& db() { return db_; }

  // `sql` is a string literal: statements are kept by its address. A statement
  // is used by one cursor at a time.
  [[nodiscard]] Result<SqliteCursor> Use(const char* sql) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
      CS_ASSIGN_OR_RETURN(SqliteStatement statement, db_.Prepare(sql));
      found = statements_.emplace(sql, std::move(statement)).first;
    }
    return SqliteCursor(&found->second);
  }

 private:
  SqliteDatabase db_;
  std::unordered_map<const char*, SqliteStatement> statements_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_CONNECTION_H_
