#include "attest/authz/storage/open_store.h"

#include <ctime>
#include <filesystem>

#include "attest/authz/storage/postgres/postgres_driver.h"
#include "attest/authz/storage/postgres/postgres_session.h"
#include "attest/authz/storage/sqlite/sqlite_driver.h"

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

}  // namespace

bool IsDatabaseUri(std::string_view database) {
  return database.starts_with("postgresql://") ||
         database.starts_with("postgres://");
}

Status CheckDatabaseName(const std::string& database) {
  if (IsDatabaseUri(database)) return CheckPostgresUri(database);
  return {};
}

Result<std::unique_ptr<SqlStore>> OpenStore(const std::string& database,
                                            SqlStore::Mode mode) {
  if (IsDatabaseUri(database)) {
    return SqlStore::Open(std::make_unique<PostgresDriver>(database), mode);
  }
  const auto missing = mode == SqlStore::Mode::kCreate
                           ? SqliteDriver::Missing::kCreate
                           : SqliteDriver::Missing::kRefuse;
  auto store =
      SqlStore::Open(std::make_unique<SqliteDriver>(database, missing), mode);
  if (!store && store.error().code == ErrorCode::kStorageCorrupt) {
    store.error().detail += SetAside(database);
  }
  return store;
}

}  // namespace countersign::authz
