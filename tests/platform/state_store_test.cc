#include "platform/state_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "attest/base/sqlite.h"
#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

namespace fs = std::filesystem;
using Write = StateStore::Write;

Bytes Value(std::string_view text) { return ToBytes(AsBytes(text)); }

class StateStoreTest : public testing::Test {
 protected:
  std::unique_ptr<StateStore> OpenStore() {
    auto store = StateStore::Open(folder_.path());
    EXPECT_TRUE(Succeeds(store));
    return store.has_value() ? *std::move(store) : nullptr;
  }
  Status Put(StateStore& store, std::string key, std::string_view value) {
    const Write write{std::move(key), Value(value)};
    return store.Commit({&write, 1});
  }
  std::string Db() const { return folder_ / "state.db"; }
  // Leaves the folder as a killed daemon does.
  void CrashAfterWriting(int entries) {
    ForkedChild crash([&] {
      auto store = StateStore::Open(folder_.path());
      for (int i = 0; i < entries; ++i) {
        if (!Put(**store, "k" + std::to_string(i), std::string(1000, 'v'))) {
          ::_exit(1);
        }
      }
      ::kill(::getpid(), SIGKILL);
    });
    ASSERT_EQ(crash.Wait(), 128 + SIGKILL);
  }

  TempFolder folder_;
};

TEST_F(StateStoreTest, KeepsWhatWasCommitted) {
  {
    auto store = OpenStore();
    ASSERT_TRUE(Succeeds(Put(*store, "a", "1")));
  }
  auto store = OpenStore();
  const auto value = store->Get("a");
  ASSERT_TRUE(Succeeds(value));
  EXPECT_EQ(*value, Value("1"));
  EXPECT_EQ(*store->Get("b"), std::nullopt);
}

TEST_F(StateStoreTest, KeepsEmptyValuesApartFromNone) {
  auto store = OpenStore();
  ASSERT_TRUE(Succeeds(Put(*store, "a", "")));
  EXPECT_EQ(*store->Get("a"), Bytes());
}

TEST_F(StateStoreTest, ReplacesAndDeletes) {
  auto store = OpenStore();
  ASSERT_TRUE(Succeeds(Put(*store, "a", "1")));
  const std::vector<Write> writes = {
      {"a", Value("2")}, {"b", Value("3")}, {"c", std::nullopt}};
  ASSERT_TRUE(Succeeds(store->Commit(writes)));
  const Write erase{"a", std::nullopt};
  ASSERT_TRUE(Succeeds(store->Commit({&erase, 1})));
  EXPECT_EQ(*store->Get("a"), std::nullopt);
  EXPECT_EQ(*store->Get("b"), Value("3"));
}

TEST_F(StateStoreTest, ScansAPrefixInOrderPageByPage) {
  auto store = OpenStore();
  for (const char* key : {"b/2", "a/9", "b/1", "b/3", "b0", "c/1"}) {
    ASSERT_TRUE(Succeeds(Put(*store, key, key)));
  }
  const auto first = store->Scan("b/", "", 2);
  ASSERT_TRUE(Succeeds(first));
  ASSERT_EQ(first->size(), 2u);
  EXPECT_EQ((*first)[0].key, "b/1");
  EXPECT_EQ((*first)[1].key, "b/2");
  const auto rest = store->Scan("b/", "b/2", 10);
  ASSERT_TRUE(Succeeds(rest));
  ASSERT_EQ(rest->size(), 1u);
  EXPECT_EQ((*rest)[0].key, "b/3");
  EXPECT_EQ((*rest)[0].value, Value("b/3"));
}

TEST_F(StateStoreTest, FilesArePrivate) {
  auto store = OpenStore();
  ASSERT_TRUE(Succeeds(Put(*store, "a", "1")));
  for (const char* name : {"state.db", "state.db-wal", "state.lock"}) {
    struct stat info {};
    ASSERT_EQ(::stat((folder_ / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(StateStoreTest, KeepsWhatWasCommittedBeforeAKill) {  // F01
  CrashAfterWriting(20);
  auto store = OpenStore();
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->Scan("k", "", 100)->size(), 20u);
}

TEST_F(StateStoreTest, RejectsASecondProcess) {  // F27
  auto store = OpenStore();
  EXPECT_TRUE(
      FailsWith(StateStore::Open(folder_.path()), ErrorCode::kAlreadyRunning));
}

TEST_F(StateStoreTest, RejectsNewerSchema) {  // A55
  { auto store = OpenStore(); }
  {
    auto db = SqliteDatabase::Open(Db());
    ASSERT_TRUE(Succeeds(db->SetSchemaVersion(7)));
  }
  const auto opened = StateStore::Open(folder_.path());
  EXPECT_TRUE(FailsWith(opened, ErrorCode::kSchemaTooNew));
  EXPECT_NE(opened.error().detail.find("schema 7"), std::string::npos);
}

// F26
TEST_F(StateStoreTest, SetsACopyOfADamagedDatabaseAside) {
  {
    auto store = OpenStore();
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(Succeeds(
          Put(*store, "k" + std::to_string(i), std::string(1000, 'v'))));
    }
  }
  {
    std::fstream file(Db(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);  // The second page: the root of the table.
    file << std::string(4096, '\x5a');
  }
  const auto opened = StateStore::Open(folder_.path());
  EXPECT_TRUE(FailsWith(opened, ErrorCode::kStorageCorrupt));
  EXPECT_NE(opened.error().detail.find("state.db.corrupt-1"),
            std::string::npos);
  EXPECT_TRUE(fs::exists(Db()));
  EXPECT_EQ(fs::file_size(Db()), fs::file_size(Db() + ".corrupt-1"));
  // Started again and again, it makes no second copy of the same.
  EXPECT_TRUE(
      FailsWith(StateStore::Open(folder_.path()), ErrorCode::kStorageCorrupt));
  EXPECT_FALSE(fs::exists(Db() + ".corrupt-2"));
}

TEST_F(StateStoreTest, RejectsFileThatIsNoDatabase) {  // F26
  std::ofstream(Db()) << std::string(5000, 'x');
  fs::permissions(Db(), fs::perms(0600));
  EXPECT_TRUE(
      FailsWith(StateStore::Open(folder_.path()), ErrorCode::kStorageCorrupt));
}

TEST_F(StateStoreTest, RejectsDatabaseWhoseLogIsMissingAfterACrash) {  // F26
  CrashAfterWriting(5);
  ASSERT_TRUE(fs::remove(Db() + "-wal"));
  EXPECT_TRUE(
      FailsWith(StateStore::Open(folder_.path()), ErrorCode::kStorageCorrupt));
}

TEST_F(StateStoreTest, NeedsNoLogAfterAnOrderlyEnd) {
  {
    auto store = OpenStore();
    ASSERT_TRUE(Succeeds(Put(*store, "a", "1")));
  }
  EXPECT_FALSE(fs::exists(Db() + "-wal"));
  EXPECT_NE(OpenStore(), nullptr);
}

TEST_F(StateStoreTest, WorksWithAStaleIndexOfTheLog) {  // F26
  CrashAfterWriting(5);
  { std::ofstream(Db() + "-shm", std::ios::binary) << std::string(32768, 'z'); }
  auto store = OpenStore();
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->Scan("k", "", 100)->size(), 5u);
}

// A46: each of the things that may have been planted.
TEST_F(StateStoreTest, RejectsFolderOpenToOthers) {
  fs::permissions(folder_.path(), fs::perms(0750));
  const auto opened = StateStore::Open(folder_.path());
  EXPECT_TRUE(FailsWith(opened, ErrorCode::kUnsafePath));
  EXPECT_NE(opened.error().detail.find(folder_.path()), std::string::npos);
}

TEST_F(StateStoreTest, RejectsFolderThatIsALink) {  // A46
  const TempFolder other;
  fs::create_directory_symlink(folder_.path(), other / "link");
  EXPECT_TRUE(
      FailsWith(StateStore::Open(other / "link"), ErrorCode::kUnsafePath));
}

TEST_F(StateStoreTest, RejectsMissingFolder) {
  EXPECT_TRUE(
      FailsWith(StateStore::Open(folder_ / "none"), ErrorCode::kUnsafePath));
}

TEST_F(StateStoreTest, RejectsFolderOfAnotherUser) {  // A46
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::chown(folder_.path().c_str(), 12345, 12345), 0);
  EXPECT_TRUE(
      FailsWith(StateStore::Open(folder_.path()), ErrorCode::kUnsafePath));
}

TEST_F(StateStoreTest, RejectsPlantedFiles) {  // A46
  for (const std::string name :
       {"state.db", "state.db-wal", "state.db-shm", "state.lock"}) {
    const std::string path = folder_ / name;
    const std::string target = folder_ / "target";
    fs::remove(folder_ / "state.lock");  // Of the round before.
    std::ofstream(target) << "";
    fs::permissions(target, fs::perms(0600));

    fs::create_symlink(target, path);
    EXPECT_TRUE(
        FailsWith(StateStore::Open(folder_.path()), ErrorCode::kUnsafePath))
        << "symbolic link " << name;
    fs::remove(path);

    fs::create_hard_link(target, path);
    EXPECT_TRUE(
        FailsWith(StateStore::Open(folder_.path()), ErrorCode::kUnsafePath))
        << "hard link " << name;
    fs::remove(path);

    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_TRUE(
        FailsWith(StateStore::Open(folder_.path()), ErrorCode::kUnsafePath))
        << "FIFO " << name;
    fs::remove(path);

    std::ofstream(path) << "";
    fs::permissions(path, fs::perms(0666));
    EXPECT_TRUE(
        FailsWith(StateStore::Open(folder_.path()), ErrorCode::kUnsafePath))
        << "writable by others " << name;
    fs::remove(path);
  }
}

// F04
TEST_F(StateStoreTest, SaysThatTheDiskIsFullAndLosesNothing) {
  const std::string small = folder_ / "small";
  fs::create_directory(small);
  if (::mount("none", small.c_str(), "tmpfs", 0, "size=256k,mode=0700") != 0) {
    GTEST_SKIP() << "needs root";
  }
  {
    auto store = StateStore::Open(small);
    ASSERT_TRUE(Succeeds(store));
    ASSERT_TRUE(Succeeds(Put(**store, "kept", "1")));
    Status put;
    for (int i = 0; i < 1000 && put.has_value(); ++i) {
      put = Put(**store, "k" + std::to_string(i), std::string(4000, 'v'));
    }
    EXPECT_TRUE(FailsWith(put, ErrorCode::kDiskFull));
    EXPECT_EQ(*(*store)->Get("kept"), Value("1"));
    // Heals as soon as there is room.
    ASSERT_EQ(::mount("none", small.c_str(), "tmpfs", MS_REMOUNT, "size=8m"),
              0);
    EXPECT_TRUE(Succeeds(Put(**store, "later", "2")));
  }
  ::umount(small.c_str());
}

}  // namespace
}  // namespace countersign::platform
