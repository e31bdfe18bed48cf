#include "attest/authz/storage/sqlite/sqlite_driver.h"

#include <filesystem>
#include <unordered_map>

#include "attest/authz/files.h"
#include "attest/base/sqlite.h"

namespace countersign::authz {
namespace {

class Statement final : public SqlStatement {
 public:
  explicit Statement(SqliteStatement statement)
      : statement_(std::move(statement)) {}

  SqlStatement& Bind(int index, int64_t value) override {
    statement_.Bind(index, value);
    return *this;
  }
  SqlStatement& Bind(int index, std::string_view text) override {
    statement_.Bind(index, text);
    return *this;
  }
  SqlStatement& Bind(int index, ByteSpan blob) override {
    statement_.Bind(index, blob);
    return *this;
  }
  SqlStatement& BindNull(int index) override {
    statement_.BindNull(index);
    return *this;
  }
  Result<bool> Step() override { return statement_.Step(); }
  Status Run() override { return statement_.Run(); }
  void Reset() override { statement_.Reset(); }
  int64_t Int(int column) const override { return statement_.Int(column); }
  std::string Text(int column) const override {
    return statement_.Text(column);
  }
  Bytes Blob(int column) const override { return statement_.Blob(column); }
  bool IsNull(int column) const override { return statement_.IsNull(column); }

 private:
  SqliteStatement statement_;
};

class Connection final : public SqlConnection {
 public:
  explicit Connection(SqliteDatabase db) : db_(std::move(db)) {}

  Result<SqlCursor> Use(const char* sql) override {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
      CS_ASSIGN_OR_RETURN(SqliteStatement statement, db_.Prepare(sql));
      found =
          statements_
              .emplace(sql, std::make_unique<Statement>(std::move(statement)))
              .first;
    }
    return SqlCursor(found->second.get());
  }

  Status Begin(Purpose purpose) override {
    return db_.Execute(purpose == Purpose::kRead ? "BEGIN" : "BEGIN IMMEDIATE");
  }
  Status Commit() override { return db_.Execute("COMMIT"); }
  void Rollback() override {
    // Fails where SQLite has rolled back by itself: a disk that is full.
    if (const Status done = db_.Execute("ROLLBACK"); !done) return;
  }
  Status BeginUnit() override { return db_.Execute("SAVEPOINT unit"); }
  Status KeepUnit() override { return db_.Execute("RELEASE unit"); }
  Status DropUnit() override {
    return db_.Execute("ROLLBACK TO unit; RELEASE unit");
  }

  Result<int64_t> SchemaVersion() override { return db_.SchemaVersion(); }
  Status SetSchemaVersion(int64_t version) override {
    return db_.SetSchemaVersion(version);
  }
  Status Define(const char* statements) override {
    return db_.Execute(statements);
  }

 private:
  SqliteDatabase db_;
  std::unordered_map<const char*, std::unique_ptr<Statement>> statements_;
};

}  // namespace

Result<std::unique_ptr<SqlConnection>> SqliteDriver::Connect() {
  std::error_code ignored;
  if (missing_ == Missing::kRefuse &&
      !std::filesystem::exists(path_, ignored)) {
    return Fail(ErrorCode::kNotFound, path_);
  }
  CS_ASSIGN_OR_RETURN(
      SqliteDatabase db,
      SqliteDatabase::Open(path_, checked_ ? SqliteDatabase::Check::kNone
                                           : SqliteDatabase::Check::kQuick));
  CS_RETURN_IF_ERROR(db.Execute("PRAGMA cache_size=-32768"));
  checked_ = true;
  return std::make_unique<Connection>(std::move(db));
}

Status CopySqlite(const std::string& from, const std::string& to) {
  CS_ASSIGN_OR_RETURN(SqliteDatabase db, SqliteDatabase::Open(from));
  // Made here, so that it is born 0600; VACUUM takes an empty file.
  CS_RETURN_IF_ERROR(CreateFile(to, "", 0600));
  CS_ASSIGN_OR_RETURN(auto vacuum, db.Prepare("VACUUM INTO ?1"));
  vacuum.Bind(1, std::string_view(to));
  CS_RETURN_IF_ERROR(vacuum.Run());
  return SyncFile(to);  // VACUUM INTO leaves that to the system.
}

}  // namespace countersign::authz
