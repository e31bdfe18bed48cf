#include "attest/base/sqlite.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

// Closing any descriptor of the file would drop the first connection's locks,
// and the next process to come and go would delete the live -wal.
TEST_F(SqliteTest, KeepsItsLocksWhenTheSameProcessOpensItAgain) {
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  // Born before the first open: SQLite keeps books of a process's own locks.
  const pid_t other = fork();
  if (other == 0) {
    char byte = 0;
    if (read(go[0], &byte, 1) != 1) _exit(1);
    { const auto opened = SqliteDatabase::Open(path_).value(); }
    _exit(0);
  }
  auto first = SqliteDatabase::Open(path_).value();
  ASSERT_TRUE(first.Execute("CREATE TABLE t (k INTEGER) STRICT"));
  auto second = SqliteDatabase::Open(path_).value();
  ASSERT_EQ(write(go[1], "x", 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(other, &status, 0), other);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(access((path_ + "-wal").c_str(), F_OK), 0);
  close(go[0]);
  close(go[1]);
}

}  // namespace
}  // namespace countersign
