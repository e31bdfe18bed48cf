// One connection to a PostgreSQL server in libpq's pipeline mode: statements
// are queued and sent together, and one wait collects the results of all.
//
// Every wait ends: after kPgAnswerTimeout the connection is given up. Not
// thread-safe.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_LINK_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_LINK_H_

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attest/base/result.h"

struct pg_conn;
struct pg_result;

namespace countersign::authz {

struct PgConnDeleter {
  void operator()(pg_conn* connection) const;
};
struct PgResultDeleter {
  void operator()(pg_result* result) const;
};
using PgConn = std::unique_ptr<pg_conn, PgConnDeleter>;
using PgResult = std::unique_ptr<pg_result, PgResultDeleter>;

// A parameter in binary form.
struct PgParameter {
  uint32_t type = 0;  // OID; 0: the server infers it (of NULL).
  std::optional<std::string> value;
};

enum class PgPrepared : uint8_t { kNot, kQueued, kDone };

// Type OIDs of the server's catalogue (pg_type.dat), the same in every version.
inline constexpr uint32_t kPgInt8 = 20;
inline constexpr uint32_t kPgBytea = 17;

// Longer than the server's statement_timeout (postgres_session.cc), which is
// what should strike.
inline constexpr std::chrono::seconds kPgAnswerTimeout{40};

// A server's SQLSTATE as one of our errors. Of a lost connection:
// kStorageUnavailable.
[[nodiscard]] Error PgError(std::string_view sqlstate,
                            std::string_view message);

class PostgresLink {
 public:
  // `connection` is open and idle, outside of pipeline mode.
  [[nodiscard]] static Result<std::unique_ptr<PostgresLink>> Take(
      PgConn connection);

  // Queue something. An error here is the connection's.
  [[nodiscard]] Status Queue(const char* sql);
  // *state is kQueued until the server has done or, behind a statement that
  // failed, skipped it; the caller keeps it alive as long as the link.
  [[nodiscard]] Status QueuePrepare(const std::string& name,
                                    const std::string& sql,
                                    std::span<const PgParameter> types,
                                    PgPrepared* state);
  [[nodiscard]] Status QueueExecute(const std::string& name,
                                    std::span<const PgParameter> parameters);

  // Sends what is queued without waiting for it.
  [[nodiscard]] Status Send();
  // Sends what is queued and waits for all of it. The result of the last one,
  // or the error of the first that failed: the server then skips the rest.
  [[nodiscard]] Result<PgResult> Finish();

  // False once the connection is lost, as far as can be known without asking.
  [[nodiscard]] bool Alive();
  void Close() { connection_.reset(); }

 private:
  explicit PostgresLink(PgConn connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] Status Sent(int ok, PgPrepared* state);
  [[nodiscard]] Status Sync();
  // Nothing: no more results of this statement.
  [[nodiscard]] Result<PgResult> Next(
      std::chrono::steady_clock::time_point deadline);
  [[nodiscard]] Error Lost();

  PgConn connection_;
  std::deque<PgPrepared*> queued_;  // One each; null: no preparation.
  bool unsynced_ = false;           // Something was queued since the last sync.
  int syncs_ = 0;                   // Sent and not yet answered.
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_LINK_H_
