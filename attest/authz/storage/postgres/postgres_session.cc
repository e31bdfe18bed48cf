#include "attest/authz/storage/postgres/postgres_session.h"

#include <libpq-fe.h>

#include <array>
#include <string_view>

namespace countersign::authz {
namespace {

constexpr int kOldestServer = 130000;

// Sets the session up and asks what it has to be fit for, in one round trip.
constexpr char kSetUp[] =
    "SELECT pg_is_in_recovery(), current_setting('fsync'), "
    "current_setting('synchronous_commit'), "
    "current_setting('server_encoding'), "
    "set_config('statement_timeout', '30s', false), "
    "set_config('lock_timeout', '5s', false), "
    "set_config('idle_in_transaction_session_timeout', '10s', false), "
    "set_config('jit', 'off', false), "  // Never pays for short statements.
    "set_config('client_min_messages', 'warning', false)";

struct OptionsDeleter {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

Status CheckFit(const PGconn* connection, const PGresult* answer) {
  const auto says = [answer](int column, std::string_view value) {
    return PQgetvalue(answer, 0, column) == value;
  };
  if (!says(0, "f")) {
    return Fail(ErrorCode::kStorageUnavailable,
                "the server is a standby; name the primary");
  }
  if (PQserverVersion(connection) < kOldestServer) {
    return Fail(ErrorCode::kStorageUnfit, "PostgreSQL 13 or newer is needed");
  }
  if (!says(1, "on")) {
    return Fail(ErrorCode::kStorageUnfit, "fsync must be on");
  }
  // With "local" a standby that takes over may lack what was answered.
  if (says(2, "off") || says(2, "local")) {
    return Fail(ErrorCode::kStorageUnfit,
                "synchronous_commit must not be off or local: ALTER ROLE … SET "
                "synchronous_commit = on");
  }
  if (!says(3, "UTF8")) {
    return Fail(ErrorCode::kStorageUnfit,
                "the database's encoding must be UTF8: CREATE DATABASE … "
                "ENCODING 'UTF8' TEMPLATE template0");
  }
  return {};
}

// libpq prints what it prints to stderr: the commands' output is ours.
void DropNotice(void*, const PGresult*) {}

}  // namespace

Status CheckPostgresUri(const std::string& uri) {
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, OptionsDeleter> options(
      PQconninfoParse(uri.c_str(), &message));
  if (options == nullptr) {
    PQfreemem(message);  // Quotes the URI, which may hold a password.
    return Fail(ErrorCode::kConfigInvalid, "not a PostgreSQL connection URI");
  }
  for (const PQconninfoOption* option = options.get();
       option->keyword != nullptr; ++option) {
    if (option->val != nullptr && *option->val != '\0' &&
        std::string_view(option->dispchar) == "*") {
      return Fail(ErrorCode::kConfigInvalid,
                  std::string("the URI holds a ") + option->keyword +
                      "; use a passfile, a service file or PGPASSWORD");
    }
  }
  return {};
}

Result<std::unique_ptr<PostgresLink>> OpenPostgresSession(
    const std::string& uri) {
  CS_RETURN_IF_ERROR(CheckPostgresUri(uri));
  // Of a keyword that comes twice the last one counts: those before the URI
  // are defaults.
  constexpr std::array<const char*, 10> kKeywords{"connect_timeout",
                                                  "tcp_user_timeout",
                                                  "keepalives_idle",
                                                  "keepalives_interval",
                                                  "keepalives_count",
                                                  "fallback_application_name",
                                                  "dbname",
                                                  "client_encoding",
                                                  "target_session_attrs",
                                                  nullptr};
  const std::array<const char*, 10> values{
      "5",         "15000", "10",         "5",    "3", "countersign-authz",
      uri.c_str(), "UTF8",  "read-write", nullptr};
  PgConn connection(PQconnectdbParams(kKeywords.data(), values.data(), 1));
  if (connection == nullptr || PQstatus(connection.get()) != CONNECTION_OK) {
    return tl::unexpected<Error>(
        PgError("08001", PQerrorMessage(connection.get())));
  }
  PQsetNoticeReceiver(connection.get(), DropNotice, nullptr);
  // The details of an error may hold rows, and rows secrets.
  PQsetErrorVerbosity(connection.get(), PQERRORS_TERSE);
  const PgResult answer(PQexec(connection.get(), kSetUp));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) {
    return tl::unexpected<Error>(
        PgError("08001", PQerrorMessage(connection.get())));
  }
  CS_RETURN_IF_ERROR(CheckFit(connection.get(), answer.get()));
  return PostgresLink::Take(std::move(connection));
}

}  // namespace countersign::authz
