// Databases of other versions, and of the other kind.
#include "attest/authz/storage/migrations.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "attest/authz/storage/postgres/dialect.h"
#include "attest/authz/storage/postgres/postgres_driver.h"
#include "attest/authz/storage/sql_unit.h"
#include "attest/authz/storage/sqlite/sqlite_driver.h"
#include "tests/attest/authz/on_each_database.h"
#include "tests/attest/authz/store_steps.h"

namespace countersign::authz {
namespace {

using Purpose = SqlConnection::Purpose;

std::string FirstVersion() {
  const char* source = std::getenv("COUNTERSIGN_SOURCE");
  std::ifstream file(std::string(source == nullptr ? "." : source) +
                     "/tests/attest/authz/schema_version_1.sql");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class MigrationsTest : public OnEachDatabase {
 protected:
  std::unique_ptr<SqlConnection> Connect() const {
    if (GetParam() == DatabaseKind::kPostgres) {
      return *PostgresDriver(database_).Connect();
    }
    return *SqliteDriver(database_, SqliteDriver::Missing::kCreate).Connect();
  }

  // A database as version 1 left it, with something in it.
  void MakeFirstVersion() const {
    const auto connection = Connect();
    ASSERT_TRUE(connection->Begin(Purpose::kMake).has_value());
    ASSERT_TRUE(connection->Define(FirstVersion().c_str()).has_value());
    SqlUnit unit(*connection);
    ASSERT_TRUE(unit.PutLedgerHead({}).has_value());
    ASSERT_TRUE(unit.PutSecret("old", Bytes{1}).has_value());
    {
      auto insert = *connection->Use("INSERT INTO receipts VALUES(?1, ?2)");
      insert->Bind(1, "spent").Bind(2, int64_t{1});
      ASSERT_TRUE(insert->Run().has_value());
    }
    ASSERT_TRUE(connection->SetSchemaVersion(1).has_value());
    ASSERT_TRUE(connection->Commit().has_value());
  }

  void SetVersion(int64_t version) const {
    const auto connection = Connect();
    ASSERT_TRUE(connection->Begin(Purpose::kWrite).has_value());
    ASSERT_TRUE(connection->SetSchemaVersion(version).has_value());
    ASSERT_TRUE(connection->Commit().has_value());
  }
};

// F28
TEST_P(MigrationsTest, RefusesANewerSchema) {
  { const auto store = *Open(); }
  SetVersion(99);
  const auto store = Open();
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kSchemaTooNew);
  EXPECT_THAT(store.error().detail, testing::HasSubstr("99"));
}

TEST_P(MigrationsTest, RefusesAnOlderSchemaAndNamesTheWayOn) {
  MakeFirstVersion();
  for (const auto mode :
       {SqlStore::Mode::kMustExist, SqlStore::Mode::kCreate}) {
    const auto store = Open(mode);
    ASSERT_FALSE(store.has_value());
    EXPECT_EQ(store.error().code, ErrorCode::kSchemaTooOld);
    EXPECT_THAT(std::string(Remedy(store.error().code)),
                testing::HasSubstr("countersign-authz store migrate"));
  }
}

TEST_P(MigrationsTest, KeepsWhatIsThereAndRecordsWithIt) {
  MakeFirstVersion();
  {
    const auto store = *Open(SqlStore::Mode::kMigrate);
    EXPECT_EQ(store->schema_version(), 1);
    ASSERT_TRUE(store
                    ->Migrate([](StoreTransaction& transaction) {
                      return transaction.PutSecret("recorded", {});
                    })
                    .has_value());
    EXPECT_EQ(store->schema_version(), kSchemaVersion);
    // A second time there is nothing to do and to record.
    ASSERT_TRUE(store
                    ->Migrate([](StoreTransaction&) -> Status {
                      return Fail(ErrorCode::kInternal);
                    })
                    .has_value());
  }
  const auto store = *Open(SqlStore::Mode::kMustExist);
  EXPECT_TRUE(HasSecret(*store, "old"));
  EXPECT_TRUE(HasSecret(*store, "recorded"));
  const Status twice =
      store->Write([](StoreTransaction& transaction) -> Status {
        CS_ASSIGN_OR_RETURN(const bool first,
                            transaction.ConsumeOnce("spent", 1));
        EXPECT_FALSE(first);
        return {};
      });
  EXPECT_TRUE(twice.has_value());
}

TEST_P(MigrationsTest, IsAllOrNothing) {
  MakeFirstVersion();
  {
    const auto store = *Open(SqlStore::Mode::kMigrate);
    const Status failed = store->Migrate([](StoreTransaction&) -> Status {
      return Fail(ErrorCode::kLedgerRolledBack);
    });
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, ErrorCode::kLedgerRolledBack);
  }
  EXPECT_EQ(Open(SqlStore::Mode::kMustExist).error().code,
            ErrorCode::kSchemaTooOld);
  EXPECT_EQ(*Connect()->SchemaVersion(), 1);
}

TEST(SchemaTest, NeverChangesAVersionThatWasReleased) {
  EXPECT_EQ(std::string(kFirstTables).substr(1), FirstVersion());
}

TEST(SchemaTest, IsTheSameInBothDatabases) {
  fakes::PostgresServer* server = fakes::PostgresServer::Get();
  if (server == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  const TempFolder folder;
  const std::string path = folder.Path("db");
  const std::string uri = server->NewDatabase();
  ASSERT_TRUE(OpenStore(path, SqlStore::Mode::kCreate).has_value());
  ASSERT_TRUE(OpenStore(uri, SqlStore::Mode::kCreate).has_value());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  sqlite3_stmt* query = nullptr;
  // One line a column, in order: table, column, may be null, type.
  ASSERT_EQ(
      sqlite3_prepare_v2(db,
                         "SELECT group_concat(line, char(10)) FROM ("
                         "SELECT m.name || ' ' || c.name || ' ' || "
                         "iif(c.\"notnull\" OR c.pk, 'NO ', 'YES ') || "
                         "iif(c.type = 'INTEGER', 'bigint', 'bytea') AS line "
                         "FROM sqlite_master m, pragma_table_info(m.name) c "
                         "WHERE m.type = 'table' ORDER BY m.name, c.cid)",
                         -1, &query, nullptr),
      SQLITE_OK)
      << sqlite3_errmsg(db);
  ASSERT_EQ(sqlite3_step(query), SQLITE_ROW);
  const std::string sqlite =
      reinterpret_cast<const char*>(sqlite3_column_text(query, 0));
  sqlite3_finalize(query);
  sqlite3_close(db);
  EXPECT_EQ(server->Execute(
                uri,
                "SELECT string_agg(table_name || ' ' || column_name || ' ' || "
                "is_nullable || ' ' || data_type, E'\\n' "
                "ORDER BY table_name COLLATE \"C\", ordinal_position) "
                "FROM information_schema.columns WHERE table_schema = 'public' "
                "AND table_name NOT IN ('schema_version', 'writers')"),
            sqlite);
  EXPECT_THAT(sqlite, testing::HasSubstr("ledger_head only NO bigint"));
}

TEST(DialectTest, TranslatesWordsAndNothingElse) {
  EXPECT_EQ(PostgresStatementText("SELECT ?1, ?12 FROM a"),
            "SELECT $1, $12 FROM a");
  EXPECT_THAT(PostgresSchema("CREATE TABLE a(\n  text_id TEXT, b BLOB)\n"
                             "  STRICT, WITHOUT ROWID;\nDROP INDEX c;\n"),
              testing::ElementsAre("CREATE TABLE a(\n  text_id BYTEA, b BYTEA)",
                                   "\nDROP INDEX c"));
}

COUNTERSIGN_ON_EACH_DATABASE(MigrationsTest);

}  // namespace
}  // namespace countersign::authz
