// Helpers to read rows: a query with bound keys, and one function per row
// type that reads the current row.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_ROWS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_ROWS_H_

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "attest/authz/storage/sql_connection.h"
#include "attest/tpm/quote.h"

namespace countersign::authz {

// The databases' integers are signed; our counters never come near 2^63.
[[nodiscard]] inline int64_t Stored(uint64_t value) {
  return static_cast<int64_t>(value);
}
[[nodiscard]] inline uint64_t Unsigned(const SqlStatement& row, int column) {
  return static_cast<uint64_t>(row.Int(column));
}
[[nodiscard]] inline bool Flag(const SqlStatement& row, int column) {
  return row.Int(column) != 0;
}
// A stored digest of another length comes out as zeros, which match nothing.
[[nodiscard]] inline Sha256Digest DigestAt(const SqlStatement& row,
                                           int column) {
  Sha256Digest digest{};
  const Bytes blob = row.Blob(column);
  if (blob.size() == digest.size()) std::ranges::copy(blob, digest.begin());
  return digest;
}
// reset_count, restart_count, clock_ms, clock_safe from `column` on.
[[nodiscard]] inline tpm::TpmClock ClockAt(const SqlStatement& row,
                                           int column) {
  return {.clock_ms = Unsigned(row, column + 2),
          .reset_count = static_cast<uint32_t>(row.Int(column)),
          .restart_count = static_cast<uint32_t>(row.Int(column + 1)),
          .safe = Flag(row, column + 3)};
}
inline void BindClock(SqlStatement& statement, int index,
                      const tpm::TpmClock& clock) {
  statement.Bind(index, int64_t{clock.reset_count})
      .Bind(index + 1, int64_t{clock.restart_count})
      .Bind(index + 2, Stored(clock.clock_ms))
      .Bind(index + 3, int64_t{clock.safe});
}

// The first row, if any, as `read` makes it.
template <typename Read>
[[nodiscard]] auto FirstRow(const SqlCursor& cursor, Read read)
    -> Result<std::optional<decltype(read(*cursor))>> {
  CS_ASSIGN_OR_RETURN(const bool found, cursor->Step());
  std::optional<decltype(read(*cursor))> row;
  if (found) row = read(*cursor);
  return row;
}
template <typename Read>
[[nodiscard]] auto AllRows(const SqlCursor& cursor, Read read)
    -> Result<std::vector<decltype(read(*cursor))>> {
  std::vector<decltype(read(*cursor))> rows;
  while (true) {
    CS_ASSIGN_OR_RETURN(const bool more, cursor->Step());
    if (!more) return rows;
    rows.push_back(read(*cursor));
  }
}

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_ROWS_H_
