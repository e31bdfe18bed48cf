// One connection of PostgresDriver, which says how it works.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_CONNECTION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_CONNECTION_H_

#include <unordered_map>

#include "attest/authz/storage/postgres/postgres_statement.h"

namespace countersign::authz {

class PostgresConnection final : public SqlConnection {
 public:
  PostgresConnection(std::string uri, std::unique_ptr<PostgresLink> link);

  [[nodiscard]] Result<SqlCursor> Use(const char* sql) override;
  [[nodiscard]] Status Begin(Purpose purpose) override;
  [[nodiscard]] Status Commit() override;
  void Rollback() override;
  [[nodiscard]] Status BeginUnit() override;
  [[nodiscard]] Status KeepUnit() override;
  [[nodiscard]] Status DropUnit() override;
  [[nodiscard]] Result<int64_t> SchemaVersion() override;
  [[nodiscard]] Status SetSchemaVersion(int64_t version) override;
  [[nodiscard]] Status Define(const char* statements) override;

 private:
  [[nodiscard]] Status Reconnect();
  [[nodiscard]] Status TryBegin(Purpose purpose);
  [[nodiscard]] Status LockHead();
  // Whether the transaction whose commit had no answer was committed.
  [[nodiscard]] Status AskOutcome();
  [[nodiscard]] Result<bool> Counted(int64_t transaction);
  // Everything queued, and what comes of it.
  [[nodiscard]] Status Finish();

  const std::string uri_;
  const Bytes writer_;       // Name of this connection's row in `writers`.
  int64_t transaction_ = 0;  // Number of the current or last one that writes.
  bool writes_ = false;      // The current one does.
  std::unique_ptr<PostgresLink> link_;
  std::unordered_map<const char*, std::unique_ptr<PostgresStatement>>
      statements_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_CONNECTION_H_
