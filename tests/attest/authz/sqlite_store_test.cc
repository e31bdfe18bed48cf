// What only a file can suffer.
#include <sqlite3.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>

#include "attest/authz/storage/open_store.h"
#include "attest/authz/storage/sqlite/sqlite_driver.h"
#include "attest/base/digest.h"
#include "tests/attest/authz/service_rig.h"
#include "tests/attest/authz/store_steps.h"

namespace countersign::authz {
namespace {

Result<std::unique_ptr<SqlStore>> Open(const std::string& path) {
  return OpenStore(path, SqlStore::Mode::kCreate);
}

// F26
TEST(SqliteStoreTest, SetsADamagedDatabaseAside) {
  const TempFolder folder;
  const std::string path = folder.Path("db");
  {
    const auto store = *Open(path);
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(PutSecret(*store, std::to_string(i)).has_value());
    }
  }
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 * 3);
    file << std::string(8192, 'X');
  }
  const auto store = Open(path);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kStorageCorrupt);
  const size_t at = store.error().detail.find("a copy is at ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(
      store.error().detail.substr(at + sizeof("a copy is at ") - 1)));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(SqliteStoreTest, RefusesAFileThatIsNoDatabase) {
  const TempFolder folder;
  std::ofstream(folder.Path("db")) << std::string(10'000, 'x');
  EXPECT_EQ(Open(folder.Path("db")).error().code, ErrorCode::kStorageCorrupt);
  EXPECT_EQ(
      OpenStore(folder.Path("none"), SqlStore::Mode::kMustExist).error().code,
      ErrorCode::kNotFound);
}

// F09: another process holds the lock for longer than we wait.
TEST(SqliteStoreTest, SaysBusyWhileAnotherHoldsTheLockAndHeals) {
  const TempFolder folder;
  const auto store = *Open(folder.Path("db"));
  sqlite3* holder = nullptr;
  ASSERT_EQ(sqlite3_open(folder.Path("db").c_str(), &holder), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(holder, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr),
            SQLITE_OK);
  const Status busy = PutSecret(*store, "a");
  ASSERT_FALSE(busy.has_value());
  EXPECT_EQ(busy.error().code, ErrorCode::kStorageBusy);
  sqlite3_exec(holder, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(holder);
  EXPECT_TRUE(PutSecret(*store, "a").has_value());
}

// F04
TEST(SqliteStoreTest, SaysWhenTheDiskIsFullAndHeals) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root for a small tmpfs";
  const TempFolder folder;
  const std::string mount = folder.Path("small");
  std::filesystem::create_directory(mount);
  if (::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=2m") != 0) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  {
    const auto store = *Open(mount + "/db");
    const Bytes blob(100'000, 'x');
    Status status;
    int kept = 0;
    for (; status && kept < 100; ++kept) {
      status = store->Write([&](StoreTransaction& transaction) {
        return transaction.PutEvidence(Sha256(AsBytes(std::to_string(kept))),
                                       blob);
      });
    }
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, ErrorCode::kDiskFull);
    --kept;
    // What was acknowledged is all there, and nothing half.
    for (int i = 0; i <= kept; ++i) {
      bool found = false;
      ASSERT_TRUE(store
                      ->Read([&](StoreView& view) -> Status {
                        CS_ASSIGN_OR_RETURN(const auto bytes,
                                            view.FindEvidence(Sha256(
                                                AsBytes(std::to_string(i)))));
                        found = bytes.has_value();
                        return {};
                      })
                      .has_value());
      EXPECT_EQ(found, i < kept);
    }
    ASSERT_EQ(::mount("tmpfs", mount.c_str(), "tmpfs", MS_REMOUNT, "size=8m"),
              0);
    EXPECT_TRUE(PutSecret(*store, "again").has_value());
  }
  ::umount(mount.c_str());
}

}  // namespace
}  // namespace countersign::authz
