#include "attest/authz/storage/sqlite_store.h"

#include <ctime>
#include <filesystem>

#include "attest/authz/storage/schema.h"
#include "attest/authz/storage/sqlite_unit.h"

namespace countersign::authz {
namespace {

// Sets a copy of a damaged database aside, so that whoever repairs it starts
// from what was found. Returns what to tell.
std::string SetAside(const std::string& path) {
  const std::string copy =
      path + ".damaged-" + std::to_string(std::time(nullptr));
  std::error_code failed;
  for (const char* suffix : {"", "-wal"}) {
    if (!std::filesystem::exists(path + suffix, failed)) continue;
    std::filesystem::copy_file(path + suffix, copy + suffix, failed);
    if (failed) return "; no copy could be made: " + failed.message();
  }
  return "; a copy is at " + copy;
}

Status PrepareSchema(SqliteDatabase& db, const std::string& path,
                     SqliteStore::Mode mode) {
  CS_ASSIGN_OR_RETURN(const int64_t version, db.SchemaVersion());
  if (version == kSchemaVersion) return {};
  if (version > kSchemaVersion) {
    return Fail(ErrorCode::kSchemaTooNew, path + " has schema version " +
                                              std::to_string(version) +
                                              "; this program knows up to " +
                                              std::to_string(kSchemaVersion));
  }
  if (version != 0 || mode != SqliteStore::Mode::kCreate) {
    return Fail(ErrorCode::kStorageCorrupt,
                path + " is not a countersign-authz database");
  }
  CS_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(db));
  CS_RETURN_IF_ERROR(db.Execute(kSchema));
  CS_RETURN_IF_ERROR(db.SetSchemaVersion(kSchemaVersion));
  return transaction.Commit();
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                       Mode mode) {
  std::error_code ignored;
  if (mode == Mode::kMustExist && !std::filesystem::exists(path, ignored)) {
    return Fail(ErrorCode::kNotFound, path);
  }
  auto db = SqliteDatabase::Open(path);
  Status ready = db ? PrepareSchema(*db, path, mode)
                    : Status(tl::unexpected<Error>(db.error()));
  if (ready) ready = db->Execute("PRAGMA cache_size=-32768");
  if (!ready) {
    Error error = ready.error();
    if (error.code == ErrorCode::kStorageCorrupt) {
      error.detail += SetAside(path);
    }
    return tl::unexpected<Error>(std::move(error));
  }
  return std::unique_ptr<SqliteStore>(new SqliteStore(path, *std::move(db)));
}

Result<std::unique_ptr<SqliteConnection>> SqliteStore::TakeReader() {
  {
    const std::lock_guard lock(readers_mutex_);
    if (!idle_readers_.empty()) {
      auto reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
      return reader;
    }
  }
  CS_ASSIGN_OR_RETURN(
      SqliteDatabase db,
      SqliteDatabase::Open(path_, SqliteDatabase::Check::kNone));
  return std::make_unique<SqliteConnection>(std::move(db));
}

Status SqliteStore::Read(const ReadWork& work) {
  CS_ASSIGN_OR_RETURN(auto reader, TakeReader());
  CS_RETURN_IF_ERROR(reader->db().Execute("BEGIN"));
  SqliteUnit unit(*reader);
  Status status = work(unit);
  CS_RETURN_IF_ERROR(reader->db().Execute("ROLLBACK"));
  const std::lock_guard lock(readers_mutex_);
  idle_readers_.push_back(std::move(reader));
  return status;
}

Status SqliteStore::Write(const WriteWork& work) {
  Unit mine{.work = &work, .status = {}};
  std::unique_lock lock(write_mutex_);
  waiting_.push_back(&mine);
  while (!mine.done) {
    if (leading_) {
      written_.wait(lock);
      continue;
    }
    leading_ = true;
    const std::vector<Unit*> group = std::exchange(waiting_, {});
    lock.unlock();
    const Status committed = RunGroup(group);
    lock.lock();
    leading_ = false;
    for (Unit* unit : group) {
      if (!committed && unit->status) unit->status = committed;
      unit->done = true;
    }
    written_.notify_all();
  }
  return mine.status;
}

Status SqliteStore::RunGroup(const std::vector<Unit*>& group) {
  CS_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(writer_.db()));
  for (Unit* unit : group) CS_RETURN_IF_ERROR(RunUnit(*unit));
  return transaction.Commit();
}

Status SqliteStore::RunUnit(Unit& unit) {
  CS_RETURN_IF_ERROR(writer_.db().Execute("SAVEPOINT unit"));
  SqliteUnit view(writer_);
  try {
    unit.status = (*unit.work)(view);
  } catch (const std::exception& error) {
    unit.status = Fail(ErrorCode::kInternal, error.what());
  }
  // A full disk makes SQLite roll everything back by itself; there is no
  // savepoint to return to then, and the group fails as a whole.
  if (!unit.status && !writer_.db().Execute("ROLLBACK TO unit")) {
    return unit.status;
  }
  return writer_.db().Execute("RELEASE unit");
}

}  // namespace countersign::authz
