// The store that the configuration names.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_OPEN_STORE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_OPEN_STORE_H_

#include <memory>
#include <string>
#include <string_view>

#include "attest/authz/storage/sql_store.h"

namespace countersign::authz {

// Whether `database` of the configuration is a server's URI (postgresql://…)
// and not the path of a file.
[[nodiscard]] bool IsDatabaseUri(std::string_view database);

// Whether `database` can be one, without touching it: kConfigInvalid for a URI
// that is none or holds a password (postgres/postgres_session.h).
[[nodiscard]] Status CheckDatabaseName(const std::string& database);

// As SqlStore::Open, and for a file:
//   kNotFound        there is none; kCreate makes it
//   kStorageCorrupt  fails SQLite's check; a copy was set aside, and the
//                    detail says where
// For a URI, as PostgresDriver::Connect.
[[nodiscard]] Result<std::unique_ptr<SqlStore>> OpenStore(
    const std::string& database, SqlStore::Mode mode);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_OPEN_STORE_H_
