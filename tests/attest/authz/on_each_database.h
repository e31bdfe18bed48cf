// Runs a suite on every kind of database that the store has.
#ifndef COUNTERSIGN_TESTS_ATTEST_AUTHZ_ON_EACH_DATABASE_H_
#define COUNTERSIGN_TESTS_ATTEST_AUTHZ_ON_EACH_DATABASE_H_

#include <gtest/gtest.h>

#include "attest/authz/storage/open_store.h"
#include "tests/attest/authz/service_rig.h"
#include "tests/fakes/postgres_server.h"

namespace countersign::authz {

enum class DatabaseKind : uint8_t { kSqlite, kPostgres };

// A new database of the kind that the parameter names.
class OnEachDatabase : public testing::TestWithParam<DatabaseKind> {
 protected:
  void SetUp() override {
    if (GetParam() == DatabaseKind::kSqlite) {
      database_ = folder_.Path("db");
      return;
    }
    server_ = fakes::PostgresServer::Get();
    if (server_ == nullptr) {
      GTEST_SKIP() << "PostgreSQL is not installed: "
                      "installers/dependencies test";
    }
    database_ = server_->NewDatabase();
  }

  [[nodiscard]] Result<std::unique_ptr<SqlStore>> Open(
      SqlStore::Mode mode = SqlStore::Mode::kCreate) const {
    return OpenStore(database_, mode);
  }

  const TempFolder folder_;
  std::string database_;
  fakes::PostgresServer* server_ = nullptr;
};

// Name of a parameter in the names of tests.
inline std::string NameOf(const testing::TestParamInfo<DatabaseKind>& info) {
  return info.param == DatabaseKind::kSqlite ? "Sqlite" : "Postgres";
}

#define COUNTERSIGN_ON_EACH_DATABASE(Suite) \
  INSTANTIATE_TEST_SUITE_P(                 \
      Each, Suite,                          \
      testing::Values(DatabaseKind::kSqlite, DatabaseKind::kPostgres), NameOf)

}  // namespace countersign::authz

#endif  // COUNTERSIGN_TESTS_ATTEST_AUTHZ_ON_EACH_DATABASE_H_
