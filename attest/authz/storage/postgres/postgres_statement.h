// One prepared statement on a PostgresLink. It is prepared with its first use,
// when the types of what is bound are known, and again after a failure.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_STATEMENT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_STATEMENT_H_

#include "attest/authz/storage/postgres/postgres_link.h"
#include "attest/authz/storage/sql_connection.h"

namespace countersign::authz {

class PostgresStatement final : public SqlStatement {
 public:
  // `sql` in PostgreSQL's words. `link` outlives this.
  PostgresStatement(PostgresLink& link, std::string name, std::string sql)
      : link_(link), name_(std::move(name)), sql_(std::move(sql)) {}

  SqlStatement& Bind(int index, int64_t value) override;
  SqlStatement& Bind(int index, std::string_view text) override;
  SqlStatement& Bind(int index, ByteSpan blob) override;
  SqlStatement& BindNull(int index) override;

  [[nodiscard]] Result<bool> Step() override;
  [[nodiscard]] Status Run() override;
  void Reset() override;

  [[nodiscard]] int64_t Int(int column) const override;
  [[nodiscard]] std::string Text(int column) const override;
  [[nodiscard]] Bytes Blob(int column) const override;
  [[nodiscard]] bool IsNull(int column) const override;

 private:
  SqlStatement& Set(int index, uint32_t type, std::optional<std::string> value);
  [[nodiscard]] Status Queue();
  [[nodiscard]] std::string_view At(int column) const;

  PostgresLink& link_;
  const std::string name_;
  const std::string sql_;
  PgPrepared prepared_ = PgPrepared::kNot;
  std::vector<PgParameter> parameters_;
  PgResult rows_;
  int row_ = -1;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_POSTGRES_POSTGRES_STATEMENT_H_
