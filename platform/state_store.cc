#include "platform/state_store.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "attest/base/sqlite.h"
#include "platform/safe_path.h"
#include "platform/unclean_mark.h"

namespace countersign::platform {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSchema = 1;
constexpr int kMaxCopies = 9;

constexpr const char* kCreate =
    "CREATE TABLE IF NOT EXISTS kv("
    "  key TEXT PRIMARY KEY,"
    "  value BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID";

bool SameContent(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::file_size(a, error) != fs::file_size(b, error) || error) return false;
  std::ifstream first(a, std::ios::binary);
  std::ifstream second(b, std::ios::binary);
  return std::equal(std::istreambuf_iterator<char>(first), {},
                    std::istreambuf_iterator<char>(second));
}

// Sets a copy of a damaged database aside, once: a service manager that starts
// us again and again must not fill the disk with copies. The original stays,
// so that nothing is taken for a fresh start.
std::string SetAside(const std::string& path) {
  for (int i = 1; i <= kMaxCopies; ++i) {
    const std::string copy = path + ".corrupt-" + std::to_string(i);
    std::error_code error;
    if (fs::exists(copy, error)) {
      if (SameContent(path, copy)) return "a copy is at " + copy;
      continue;
    }
    fs::copy_file(path, copy, error);
    if (error) return "no copy could be made: " + error.message();
    if (fs::exists(path + "-wal", error)) {
      fs::copy_file(path + "-wal", copy + "-wal", error);
    }
    return "a copy is at " + copy;
  }
  return "earlier copies lie beside it";
}

class SqliteStateStore final : public StateStore {
 public:
  SqliteStateStore(SqliteDatabase db, UncleanMark mark)
      : mark_(std::move(mark)), db_(std::move(db)) {}
  ~SqliteStateStore() override { mark_.Closing(); }

  Status Prepare();
  Result<std::optional<Bytes>> Get(std::string_view key) override;
  Result<std::vector<Entry>> Scan(std::string_view prefix,
                                  std::string_view after,
                                  size_t limit) override;
  Status Commit(std::span<const Write> writes) override;

 private:
  struct Statements {
    SqliteStatement get;
    SqliteStatement scan;
    SqliteStatement put;
    SqliteStatement erase;
  };

  // Destroyed last to first: statements, then the database, then the lock.
  UncleanMark mark_;
  SqliteDatabase db_;
  std::optional<Statements> statements_;
};

Status SqliteStateStore::Prepare() {
  CS_ASSIGN_OR_RETURN(const int64_t schema, db_.SchemaVersion());
  if (schema > kSchema) {
    return Fail(ErrorCode::kSchemaTooNew,
                "the state has schema " + std::to_string(schema) +
                    ", this version (" COUNTERSIGN_VERSION ") knows " +
                    std::to_string(kSchema));
  }
  if (schema == 0) {
    CS_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(db_));
    CS_RETURN_IF_ERROR(db_.Execute(kCreate));
    CS_RETURN_IF_ERROR(db_.SetSchemaVersion(kSchema));
    CS_RETURN_IF_ERROR(transaction.Commit());
  }
  CS_ASSIGN_OR_RETURN(auto get,
                      db_.Prepare("SELECT value FROM kv WHERE key=?1"));
  CS_ASSIGN_OR_RETURN(
      auto scan,
      db_.Prepare("SELECT key, value FROM kv WHERE key>=?1 AND key>?2"
                  " ORDER BY key LIMIT ?3"));
  CS_ASSIGN_OR_RETURN(auto put,
                      db_.Prepare("INSERT INTO kv(key, value) VALUES(?1, ?2)"
                                  " ON CONFLICT(key) DO UPDATE SET value=?2"));
  CS_ASSIGN_OR_RETURN(auto erase, db_.Prepare("DELETE FROM kv WHERE key=?1"));
  statements_ = Statements{std::move(get), std::move(scan), std::move(put),
                           std::move(erase)};
  return {};
}

Result<std::optional<Bytes>> SqliteStateStore::Get(std::string_view key) {
  SqliteStatement& get = statements_->get;
  get.Bind(1, key);
  const Result<bool> row = get.Step();
  std::optional<Bytes> value;
  if (row.has_value() && *row) value = get.Blob(0);
  get.Reset();
  if (!row.has_value()) return tl::unexpected<Error>(row.error());
  return value;
}

Result<std::vector<StateStore::Entry>> SqliteStateStore::Scan(
    std::string_view prefix, std::string_view after, size_t limit) {
  SqliteStatement& scan = statements_->scan;
  scan.Bind(1, prefix).Bind(2, after).Bind(3, static_cast<int64_t>(limit));
  std::vector<Entry> entries;
  Result<bool> row = scan.Step();
  while (row.has_value() && *row) {
    std::string key = scan.Text(0);
    if (!key.starts_with(prefix)) break;
    entries.push_back({std::move(key), scan.Blob(1)});
    row = scan.Step();
  }
  scan.Reset();
  if (!row.has_value()) return tl::unexpected<Error>(row.error());
  return entries;
}

Status SqliteStateStore::Commit(std::span<const Write> writes) {
  CS_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(db_));
  for (const Write& write : writes) {
    if (write.value.has_value()) {
      statements_->put.Bind(1, write.key).Bind(2, ByteSpan(*write.value));
      CS_RETURN_IF_ERROR(statements_->put.Run());
    } else {
      statements_->erase.Bind(1, write.key);
      CS_RETURN_IF_ERROR(statements_->erase.Run());
    }
  }
  return transaction.Commit();
}

}  // namespace

Result<std::unique_ptr<StateStore>> StateStore::Open(
    const std::string& directory) {
  const std::string path = directory + "/state.db";
  CS_RETURN_IF_ERROR(CheckFolder(directory, FolderUse::kPrivate));
  CS_ASSIGN_OR_RETURN(UncleanMark mark,
                      UncleanMark::Open(directory + "/state.lock"));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    CS_RETURN_IF_ERROR(CheckOwnFileOrNothing(path + suffix));
  }
  std::error_code ignored;
  if (mark.was_unclean() && fs::exists(path, ignored) &&
      !fs::exists(path + "-wal", ignored)) {
    return Fail(ErrorCode::kStorageCorrupt,
                path + "-wal, which holds the last records, is missing; " +
                    SetAside(path));
  }
  Result<SqliteDatabase> db = SqliteDatabase::Open(path);
  if (!db.has_value()) {
    Error error = db.error();
    if (error.code == ErrorCode::kStorageCorrupt) {
      error.detail += "; " + SetAside(path);
    }
    return tl::unexpected<Error>(std::move(error));
  }
  CS_RETURN_IF_ERROR(mark.Opened());
  auto store =
      std::make_unique<SqliteStateStore>(*std::move(db), std::move(mark));
  CS_RETURN_IF_ERROR(store->Prepare());
  return store;
}

}  // namespace countersign::platform
