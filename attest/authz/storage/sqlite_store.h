// The store on one SQLite file: WAL, synchronous=FULL, STRICT tables.
//
// One connection writes. Threads that write at the same time share a commit:
// the first to come runs what has gathered, each unit in a savepoint of its
// own. Another process (the command line) may write too; SQLite's lock keeps
// them apart, and nothing read outside a transaction is relied upon inside.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_STORE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_STORE_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "attest/authz/storage/sqlite_connection.h"
#include "attest/authz/store.h"

namespace countersign::authz {

class SqliteStore final : public Store {
 public:
  enum class Mode : uint8_t { kMustExist, kCreate };

  //   kNotFound        no such file, with kMustExist
  //   kSchemaTooNew    written by a newer version, which the detail names
  //   kStorageCorrupt  fails SQLite's check, or is no database of ours; a copy
  //                    was set aside, and the detail says where
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> Open(
      const std::string& path, Mode mode);

  [[nodiscard]] Status Read(const ReadWork& work) override;
  [[nodiscard]] Status Write(const WriteWork& work) override;

 private:
  struct Unit {
    const WriteWork* work = nullptr;
    Status status;
    bool done = false;
  };

  SqliteStore(std::string path, SqliteDatabase writer)
      : path_(std::move(path)), writer_(std::move(writer)) {}

  // Runs the units in one transaction; on an Error none of them happened.
  Status RunGroup(const std::vector<Unit*>& group);
  Status RunUnit(Unit& unit);
  [[nodiscard]] Result<std::unique_ptr<SqliteConnection>> TakeReader();

  const std::string path_;

  std::mutex write_mutex_;
  std::condition_variable written_;
  std::vector<Unit*> waiting_;
  bool leading_ = false;     // Some thread is running a group,
  SqliteConnection writer_;  // and is the only one to touch this.

  std::mutex readers_mutex_;
  std::vector<std::unique_ptr<SqliteConnection>> idle_readers_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_STORE_H_
