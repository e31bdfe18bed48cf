#include "attest/base/sqlite.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace countersign {
namespace {

class SqliteTest : public testing::Test {
 protected:
  void SetUp() override { std::remove(path_.c_str()); }
  const std::string path_ =
      testing::TempDir() + "sqlite_test_" + std::to_string(getpid()) + ".db";
};

TEST_F(SqliteTest, KeepsWhatWasCommittedAndDropsWhatWasNot) {
  auto db = SqliteDatabase::Open(path_).value();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (k INTEGER, v BLOB) STRICT"));
  for (const bool commit : {true, false}) {
    auto transaction = SqliteTransaction::Begin(db).value();
    auto insert = db.Prepare("INSERT INTO t VALUES (?, ?)").value();
    ASSERT_TRUE(insert.Bind(1, int64_t{7}).Bind(2, AsBytes("v")).Run());
    if (commit) {
      ASSERT_TRUE(transaction.Commit());
    }
  }
  auto count = db.Prepare("SELECT count(*), max(v) FROM t").value();
  ASSERT_TRUE(count.Step().value());
  EXPECT_EQ(count.Int(0), 1);
  EXPECT_EQ(AsString(count.Blob(1)), "v");
}

TEST_F(SqliteTest, IsReadableByItsOwnerAlone) {
  auto db = SqliteDatabase::Open(path_).value();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (k INTEGER) STRICT"));
  for (const char* suffix : {"", "-wal"}) {
    struct stat info {};
    ASSERT_EQ(stat((path_ + suffix).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600) << suffix;
  }
}

TEST_F(SqliteTest, SaysWhenTheFileIsNotADatabase) {  // F26
  std::ofstream(path_) << std::string(8192, 'x');
  const auto db = SqliteDatabase::Open(path_);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, ErrorCode::kStorageCorrupt);
}

TEST_F(SqliteTest, RefusesASymbolicLink) {  // A46
  ASSERT_EQ(symlink("/tmp/elsewhere.db", path_.c_str()), 0);
  const auto db = SqliteDatabase::Open(path_);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, ErrorCode::kUnsafePath);
}

}  // namespace
}  // namespace countersign
