#include "attest/authz/storage/sql_store.h"

#include <chrono>

#include "attest/authz/storage/migrations.h"
#include "attest/authz/storage/sql_unit.h"

namespace countersign::authz {
namespace {

using Purpose = SqlConnection::Purpose;

// A server gives a process so many connections and no more; whoever comes when
// all are taken waits as long as a writer waits for a lock.
constexpr int kMaxReaders = 16;
constexpr std::chrono::seconds kWaitForReader{5};

Status MakeTables(SqlConnection& connection) {
  CS_RETURN_IF_ERROR(connection.Begin(Purpose::kMake));
  // Looked at again: another process may have been first.
  Result<int64_t> version = connection.SchemaVersion();
  Status made = version.map([](int64_t) {});
  if (version && *version == 0) made = MigrateFrom(0, connection);
  if (made) made = connection.Commit();
  if (!made) connection.Rollback();
  return made;
}

}  // namespace

Result<std::unique_ptr<SqlStore>> SqlStore::Open(
    std::unique_ptr<SqlDriver> driver, Mode mode) {
  CS_ASSIGN_OR_RETURN(auto writer, driver->Connect());
  CS_ASSIGN_OR_RETURN(int64_t version, writer->SchemaVersion());
  if (version == 0 && mode == Mode::kCreate) {
    CS_RETURN_IF_ERROR(MakeTables(*writer));
    CS_ASSIGN_OR_RETURN(version, writer->SchemaVersion());
  }
  const Status usable = CheckSchema(version, driver->name());
  const bool old = !usable && usable.error().code == ErrorCode::kSchemaTooOld;
  if (!(old && mode == Mode::kMigrate)) CS_RETURN_IF_ERROR(usable);
  return std::unique_ptr<SqlStore>(
      new SqlStore(std::move(driver), std::move(writer), version));
}

Result<std::unique_ptr<SqlConnection>> SqlStore::TakeReader() {
  {
    std::unique_lock lock(readers_mutex_);
    if (!reader_free_.wait_for(lock, kWaitForReader,
                               [this] { return readers_ < kMaxReaders; })) {
      return Fail(ErrorCode::kStorageBusy, "all readers are taken");
    }
    ++readers_;
    if (!idle_readers_.empty()) {
      auto reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
      return reader;
    }
  }
  auto reader = driver_->Connect();
  if (!reader) GiveBack(nullptr);
  return reader;
}

void SqlStore::GiveBack(std::unique_ptr<SqlConnection> reader) {
  const std::lock_guard lock(readers_mutex_);
  --readers_;
  if (reader != nullptr) idle_readers_.push_back(std::move(reader));
  reader_free_.notify_one();
}

Status SqlStore::Read(const ReadWork& work) {
  CS_ASSIGN_OR_RETURN(auto reader, TakeReader());
  Status status = reader->Begin(Purpose::kRead);
  if (status) {
    SqlUnit unit(*reader);
    try {
      status = work(unit);
    } catch (const std::exception& error) {
      status = Fail(ErrorCode::kInternal, error.what());
    }
    reader->Rollback();
  } else {
    reader = nullptr;
  }
  GiveBack(std::move(reader));
  return status;
}

Status SqlStore::Write(const WriteWork& work) {
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

Status SqlStore::RunGroup(const std::vector<Unit*>& group) {
  CS_RETURN_IF_ERROR(writer_->Begin(Purpose::kWrite));
  Status done = RunUnits(group);
  if (done) done = writer_->Commit();
  if (!done) writer_->Rollback();
  return done;
}

// A unit that is alone needs no fence around it: it goes with the transaction.
Status SqlStore::RunUnits(const std::vector<Unit*>& group) {
  if (group.size() == 1) {
    group.front()->status = Work(*group.front()->work);
    return group.front()->status;
  }
  for (Unit* unit : group) CS_RETURN_IF_ERROR(RunUnit(*unit));
  return {};
}

Status SqlStore::RunUnit(Unit& unit) {
  CS_RETURN_IF_ERROR(writer_->BeginUnit());
  unit.status = Work(*unit.work);
  if (unit.status) unit.status = writer_->KeepUnit();
  // A full disk makes SQLite roll everything back by itself, and a lost
  // connection leaves nothing: there is no unit to drop then, and the group
  // fails as a whole.
  if (!unit.status && !writer_->DropUnit()) return unit.status;
  return {};
}

Status SqlStore::Work(const WriteWork& work) {
  SqlUnit unit(*writer_);
  try {
    return work(unit);
  } catch (const std::exception& error) {
    return Fail(ErrorCode::kInternal, error.what());
  }
}

Status SqlStore::Migrate(const WriteWork& record) {
  const std::lock_guard lock(write_mutex_);
  CS_RETURN_IF_ERROR(writer_->Begin(Purpose::kWrite));
  const auto steps = [&]() -> Status {
    CS_ASSIGN_OR_RETURN(schema_version_, writer_->SchemaVersion());
    if (schema_version_ == kSchemaVersion) return {};
    CS_RETURN_IF_ERROR(MigrateFrom(schema_version_, *writer_));
    return Work(record);
  };
  Status done = steps();
  if (done) done = writer_->Commit();
  if (!done) {
    writer_->Rollback();
    return done;
  }
  schema_version_ = kSchemaVersion;
  return {};
}

}  // namespace countersign::authz
