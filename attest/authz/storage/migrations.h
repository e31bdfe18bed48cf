// Brings a database's tables to the version of this program.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_MIGRATIONS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_MIGRATIONS_H_

#include "attest/authz/storage/schema.h"
#include "attest/authz/storage/sql_connection.h"

namespace countersign::authz {

// Whether this program can work on schema `version` of the database `name`:
//   kStorageCorrupt  0: no database of ours
//   kSchemaTooOld, kSchemaTooNew
[[nodiscard]] Status CheckSchema(int64_t version, const std::string& name);

// Within a transaction: takes every step from `version` up to the newest. From
// 0 it makes all tables, and the one row of the ledger's head with them: it is
// what writers lock, and has to be there for the first of them.
[[nodiscard]] Status MigrateFrom(int64_t version, SqlConnection& connection);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_MIGRATIONS_H_
