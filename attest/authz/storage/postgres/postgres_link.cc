#include "attest/authz/storage/postgres/postgres_link.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>

#include "attest/base/text.h"

namespace countersign::authz {
namespace {

using std::chrono::steady_clock;

constexpr int kBinary = 1;

// Waits until the server has something to say or, if `to_write`, can take more.
bool WaitFor(int socket, bool to_write, steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - steady_clock::now());
  pollfd entry{.fd = socket,
               .events = static_cast<short>(POLLIN | (to_write ? POLLOUT : 0)),
               .revents = 0};
  const int ready =
      ::poll(&entry, 1, static_cast<int>(std::max(left.count(), 0L)));
  return ready > 0 || (ready < 0 && errno == EINTR);
}

}  // namespace

void PgConnDeleter::operator()(pg_conn* connection) const {
  PQfinish(connection);
}
void PgResultDeleter::operator()(pg_result* result) const { PQclear(result); }

// PostgreSQL 15, appendix A: the first two characters are the class.
Error PgError(std::string_view sqlstate, std::string_view message) {
  const std::string_view group = sqlstate.substr(0, 2);
  ErrorCode code = ErrorCode::kIoError;
  if (sqlstate == "53100") {  // disk_full
    code = ErrorCode::kDiskFull;
  } else if (group == "40" || group == "55" || sqlstate == "57014") {
    code = ErrorCode::kStorageBusy;  // Rolled back, a lock, a timeout.
  } else if (group == "08" || group == "53" || group == "57" || group == "28" ||
             sqlstate == "25006" || sqlstate == "25P03" ||
             sqlstate == "3D000") {
    // No connection, no room for one, shutting down, not let in, not the
    // primary, too slow, no such database.
    code = ErrorCode::kStorageUnavailable;
  } else if (group == "XX") {
    code = ErrorCode::kStorageCorrupt;
  }
  return {code, Printable(message, 400)};
}

Result<std::unique_ptr<PostgresLink>> PostgresLink::Take(PgConn connection) {
  if (PQsetnonblocking(connection.get(), 1) != 0 ||
      PQenterPipelineMode(connection.get()) != 1) {
    return tl::unexpected<Error>(PgError("", PQerrorMessage(connection.get())));
  }
  return std::unique_ptr<PostgresLink>(new PostgresLink(std::move(connection)));
}

Error PostgresLink::Lost() {
  Error lost = PgError("08006", PQerrorMessage(connection_.get()));
  connection_.reset();
  return lost;
}

bool PostgresLink::Alive() {
  if (connection_ == nullptr) return false;
  // Until there is nothing left to read: the end comes behind the server's
  // last word.
  while (WaitFor(PQsocket(connection_.get()), false, steady_clock::now())) {
    if (PQconsumeInput(connection_.get()) != 1) break;
  }
  return PQstatus(connection_.get()) == CONNECTION_OK;
}

Status PostgresLink::Sent(int ok, PgPrepared* state) {
  if (ok != 1) return tl::unexpected<Error>(Lost());
  if (state != nullptr) *state = PgPrepared::kQueued;
  queued_.push_back(state);
  unsynced_ = true;
  return {};
}

Status PostgresLink::Queue(const char* sql) {
  if (connection_ == nullptr) return Fail(ErrorCode::kStorageUnavailable);
  return Sent(PQsendQueryParams(connection_.get(), sql, 0, nullptr, nullptr,
                                nullptr, nullptr, kBinary),
              nullptr);
}

Status PostgresLink::QueuePrepare(const std::string& name,
                                  const std::string& sql,
                                  std::span<const PgParameter> types,
                                  PgPrepared* state) {
  if (connection_ == nullptr) return Fail(ErrorCode::kStorageUnavailable);
  std::vector<Oid> oids;
  for (const PgParameter& type : types) oids.push_back(type.type);
  return Sent(PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(),
                            static_cast<int>(oids.size()), oids.data()),
              state);
}

Status PostgresLink::QueueExecute(const std::string& name,
                                  std::span<const PgParameter> parameters) {
  if (connection_ == nullptr) return Fail(ErrorCode::kStorageUnavailable);
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const PgParameter& parameter : parameters) {
    values.push_back(parameter.value ? parameter.value->data() : nullptr);
    lengths.push_back(
        parameter.value ? static_cast<int>(parameter.value->size()) : 0);
  }
  const std::vector<int> formats(values.size(), kBinary);
  return Sent(
      PQsendQueryPrepared(connection_.get(), name.c_str(),
                          static_cast<int>(values.size()), values.data(),
                          lengths.data(), formats.data(), kBinary),
      nullptr);
}

Status PostgresLink::Sync() {
  if (connection_ == nullptr) return Fail(ErrorCode::kStorageUnavailable);
  if (!unsynced_) return {};
  if (PQpipelineSync(connection_.get()) != 1) {
    return tl::unexpected<Error>(Lost());
  }
  unsynced_ = false;
  ++syncs_;
  return {};
}

Status PostgresLink::Send() {
  CS_RETURN_IF_ERROR(Sync());
  if (PQflush(connection_.get()) < 0) return tl::unexpected<Error>(Lost());
  return {};
}

Result<PgResult> PostgresLink::Next(steady_clock::time_point deadline) {
  PGconn* connection = connection_.get();
  while (true) {
    // Sending goes on while results come in, so that neither side waits for
    // the other with full buffers.
    const int unsent = PQflush(connection);
    if (unsent < 0) return tl::unexpected<Error>(Lost());
    if (PQisBusy(connection) == 0) return PgResult(PQgetResult(connection));
    if (!WaitFor(PQsocket(connection), unsent == 1, deadline)) {
      connection_.reset();
      return Fail(ErrorCode::kStorageUnavailable,
                  "the database server does not answer");
    }
    if (PQconsumeInput(connection) != 1) return tl::unexpected<Error>(Lost());
  }
}

Result<PgResult> PostgresLink::Finish() {
  CS_RETURN_IF_ERROR(Sync());
  const auto deadline = steady_clock::now() + kPgAnswerTimeout;
  std::optional<Error> failed;
  PgResult last;
  while (syncs_ > 0) {
    CS_ASSIGN_OR_RETURN(PgResult result, Next(deadline));
    if (result == nullptr) {  // The end of one statement's results.
      if (PQstatus(connection_.get()) != CONNECTION_OK) {
        return tl::unexpected<Error>(Lost());
      }
      continue;
    }
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) {
      --syncs_;
      continue;
    }
    const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!queued_.empty()) {
      PgPrepared* const state = queued_.front();
      queued_.pop_front();
      if (state != nullptr) {
        *state = good ? PgPrepared::kDone : PgPrepared::kNot;
      }
    }
    if (good) {
      last = std::move(result);
    } else if (status != PGRES_PIPELINE_ABORTED && !failed) {
      const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      // Without a state the message is libpq's own: the connection is gone.
      failed = PgError(state == nullptr ? "08006" : state,
                       PQresultErrorMessage(result.get()));
    }
  }
  if (failed) return tl::unexpected<Error>(*std::move(failed));
  return last;
}

}  // namespace countersign::authz
