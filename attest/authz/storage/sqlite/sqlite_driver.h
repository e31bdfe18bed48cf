// The store's database as one SQLite file: WAL, synchronous=FULL, STRICT
// tables. SQLite's own lock makes a write alone among those of all processes.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_SQLITE_DRIVER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_SQLITE_DRIVER_H_

#include <atomic>

#include "attest/authz/storage/sql_connection.h"

namespace countersign::authz {

class SqliteDriver final : public SqlDriver {
 public:
  enum class Missing : uint8_t { kRefuse, kCreate };

  SqliteDriver(std::string path, Missing missing)
      : path_(std::move(path)), missing_(missing) {}

  // The first connection checks the whole file.
  //   kNotFound        no such file, with kRefuse
  //   kStorageCorrupt  fails SQLite's check
  [[nodiscard]] Result<std::unique_ptr<SqlConnection>> Connect() override;
  [[nodiscard]] const std::string& name() const override { return path_; }

 private:
  const std::string path_;
  const Missing missing_;
  std::atomic<bool> checked_ = false;
};

// Writes a copy of the database at `from` to `to`, which must not exist, as it
// is at one moment; others read and write on. Durable when it returns.
[[nodiscard]] Status CopySqlite(const std::string& from, const std::string& to);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQLITE_SQLITE_DRIVER_H_
