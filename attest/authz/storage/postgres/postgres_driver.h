// The store's database on a PostgreSQL server.
//
// A transaction that writes begins by locking the one row of ledger_head, and
// keeps it to its end: all writers of all processes come one after another,
// and so do the ledger's entries. Hence READ COMMITTED is enough for them:
// each statement sees what was committed before it began, which is all that
// was committed before the lock was had, and nobody commits while it is held.
// Reads are REPEATABLE READ READ ONLY, one snapshot each.
//
// A commit whose answer was lost: each writing connection has a row of its own
// in the table `writers`, and every transaction counts it up. Over a new
// connection that row tells whether the transaction had been committed; it
// tells right after a crash and after a failover as well, where the number of
// a transaction could have been given again. A lost connection is noticed when
// the next transaction begins, and made anew; what was under way fails with
// kStorageUnavailable.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_DRIVER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_DRIVER_H_

#include "attest/authz/storage/sql_connection.h"

namespace countersign::authz {

class PostgresDriver final : public SqlDriver {
 public:
  // `uri` without a password, as CheckPostgresUri wants it.
  explicit PostgresDriver(std::string uri) : uri_(std::move(uri)) {}

  // Errors as OpenPostgresSession.
  [[nodiscard]] Result<std::unique_ptr<SqlConnection>> Connect() override;
  [[nodiscard]] const std::string& name() const override { return uri_; }

 private:
  const std::string uri_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_DRIVER_H_
