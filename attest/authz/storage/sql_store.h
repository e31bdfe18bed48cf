// The store on a database of SQL, whichever it is.
//
// One connection of a process writes. Threads that write at the same time
// share a commit: the first to come runs what has gathered, each unit apart
// from the others. Other processes may write too; the database lets one of
// them in at a time (SqlConnection::Purpose::kWrite), and nothing read outside
// a transaction is relied upon inside.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_STORE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_STORE_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "attest/authz/storage/sql_connection.h"
#include "attest/authz/store.h"

namespace countersign::authz {

class SqlStore final : public Store {
 public:
  enum class Mode : uint8_t {
    kMustExist,  // Refuses what is not of this program's schema.
    kCreate,     // Makes the tables if there are none.
    kMigrate,    // As kMustExist, but an older schema is left to Migrate().
  };

  //   kSchemaTooNew, kSchemaTooOld  the detail names the versions
  //   kStorageCorrupt               no database of ours
  [[nodiscard]] static Result<std::unique_ptr<SqlStore>> Open(
      std::unique_ptr<SqlDriver> driver, Mode mode);

  [[nodiscard]] Status Read(const ReadWork& work) override;
  [[nodiscard]] Status Write(const WriteWork& work) override;

  // Brings the tables to this program's version, with `record` in the same
  // transaction; `record` is not called if they are.
  [[nodiscard]] Status Migrate(const WriteWork& record);
  // As it was found by Open, or left by Migrate.
  [[nodiscard]] int64_t schema_version() const { return schema_version_; }

 private:
  struct Unit {
    const WriteWork* work = nullptr;
    Status status;
    bool done = false;
  };

  SqlStore(std::unique_ptr<SqlDriver> driver,
           std::unique_ptr<SqlConnection> writer, int64_t schema_version)
      : driver_(std::move(driver)),
        writer_(std::move(writer)),
        schema_version_(schema_version) {}

  // Runs the units in one transaction; on an Error none of them happened, or
  // nobody can tell.
  Status RunGroup(const std::vector<Unit*>& group);
  Status RunUnits(const std::vector<Unit*>& group);
  Status RunUnit(Unit& unit);
  Status Work(const WriteWork& work);
  [[nodiscard]] Result<std::unique_ptr<SqlConnection>> TakeReader();
  void GiveBack(std::unique_ptr<SqlConnection> reader);

  const std::unique_ptr<SqlDriver> driver_;

  std::mutex write_mutex_;
  std::condition_variable written_;
  std::vector<Unit*> waiting_;
  bool leading_ = false;                   // Some thread is running a group,
  std::unique_ptr<SqlConnection> writer_;  // and is the only one to use this.
  int64_t schema_version_;

  std::mutex readers_mutex_;
  std::condition_variable reader_free_;
  int readers_ = 0;  // Taken.
  std::vector<std::unique_ptr<SqlConnection>> idle_readers_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_STORE_H_
