// The store's SQL in PostgreSQL's words. The SQL is ours alone, literals of
// this program; nothing here quotes or escapes foreign text.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_DIALECT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_DIALECT_H_

#include <string>
#include <string_view>
#include <vector>

namespace countersign::authz {

// ?1 becomes $1.
[[nodiscard]] std::string PostgresStatementText(std::string_view sql);

// The statements of a text of schema.h: INTEGER becomes BIGINT, BLOB and TEXT
// become BYTEA, STRICT and WITHOUT ROWID go. TEXT is bytes because SQLite's
// takes any: PostgreSQL's refuses a NUL, which a foreign string may hold, and
// sorts by a collation that can change with the system's libraries.
[[nodiscard]] std::vector<std::string> PostgresSchema(
    std::string_view statements);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_DIALECT_H_
