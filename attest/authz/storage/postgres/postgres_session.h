// Opens sessions on a PostgreSQL server that is fit to keep a ledger.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_SESSION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_SESSION_H_

#include "attest/authz/storage/postgres/postgres_link.h"

namespace countersign::authz {

// `uri` (libpq's connection URI) as far as it can be judged unconnected:
//   kConfigInvalid  no such URI, or it holds a password: that belongs into a
//                   passfile or PGPASSWORD, where it is not in a configuration
//                   that others read
[[nodiscard]] Status CheckPostgresUri(const std::string& uri);

// Connects, with an end to every wait: 5 s to connect and for a lock, 30 s for
// a statement, 10 s idle in a transaction (it holds the ledger's head), 15 s
// for the network.
//   kStorageUnavailable  cannot be reached, is no primary, or does not let us
//                        in; the detail says which
//   kStorageUnfit        older than 13, not UTF8, or an acknowledged commit
//                        may be lost: fsync or synchronous_commit is off
[[nodiscard]] Result<std::unique_ptr<PostgresLink>> OpenPostgresSession(
    const std::string& uri);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_SESSION_H_
