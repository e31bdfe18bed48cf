#include "attest/authz/storage/postgres/postgres_statement.h"

#include <libpq-fe.h>

namespace countersign::authz {

SqlStatement& PostgresStatement::Set(int index, uint32_t type,
                                     std::optional<std::string> value) {
  const auto at = static_cast<size_t>(index - 1);
  if (parameters_.size() <= at) parameters_.resize(at + 1);
  parameters_[at] = {.type = type, .value = std::move(value)};
  return *this;
}

SqlStatement& PostgresStatement::Bind(int index, int64_t value) {
  std::string big_endian(sizeof(value), '\0');
  auto rest = static_cast<uint64_t>(value);
  for (size_t i = big_endian.size(); i-- > 0; rest >>= 8) {
    big_endian[i] = static_cast<char>(rest & 0xff);
  }
  return Set(index, kPgInt8, std::move(big_endian));
}

SqlStatement& PostgresStatement::Bind(int index, std::string_view text) {
  return Set(index, kPgBytea, std::string(text));
}

SqlStatement& PostgresStatement::Bind(int index, ByteSpan blob) {
  return Set(index, kPgBytea, AsString(blob));
}

SqlStatement& PostgresStatement::BindNull(int index) {
  return Set(index, 0, std::nullopt);
}

Status PostgresStatement::Queue() {
  if (prepared_ == PgPrepared::kNot) {
    CS_RETURN_IF_ERROR(
        link_.QueuePrepare(name_, sql_, parameters_, &prepared_));
  }
  return link_.QueueExecute(name_, parameters_);
}

Result<bool> PostgresStatement::Step() {
  if (rows_ == nullptr) {
    CS_RETURN_IF_ERROR(Queue());
    CS_ASSIGN_OR_RETURN(rows_, link_.Finish());
    row_ = -1;
  }
  return ++row_ < PQntuples(rows_.get());
}

Status PostgresStatement::Run() {
  Status queued = Queue();
  Reset();
  return queued;
}

void PostgresStatement::Reset() {
  rows_.reset();
  parameters_.clear();
}

std::string_view PostgresStatement::At(int column) const {
  return {PQgetvalue(rows_.get(), row_, column),
          static_cast<size_t>(PQgetlength(rows_.get(), row_, column))};
}

// Whole numbers come with 8, 4 or 2 bytes, truth with one; of an expression
// the server chooses.
int64_t PostgresStatement::Int(int column) const {
  const std::string_view bytes = At(column);
  if (bytes.empty()) return 0;
  const bool negative = (static_cast<uint8_t>(bytes.front()) & 0x80) != 0;
  uint64_t value = negative ? ~uint64_t{0} : 0;
  for (const char byte : bytes) {
    value = value << 8 | static_cast<uint8_t>(byte);
  }
  return static_cast<int64_t>(value);
}

std::string PostgresStatement::Text(int column) const {
  return std::string(At(column));
}

Bytes PostgresStatement::Blob(int column) const {
  return ToBytes(AsBytes(At(column)));
}

bool PostgresStatement::IsNull(int column) const {
  return PQgetisnull(rows_.get(), row_, column) == 1;
}

}  // namespace countersign::authz
