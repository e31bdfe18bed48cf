#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "attest/authz/epoch.h"
#include "attest/authz/files.h"
#include "attest/authz/head_file.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/rate_limiter.h"
#include "attest/authz/tokens.h"
#include "attest/base/digest.h"
#include "attest/base/json_guard.h"
#include "attest/base/sqlite.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

Result<std::unique_ptr<SqlStore>> Open(const std::string& path) {
  return OpenStore(path, SqlStore::Mode::kCreate);
}

Status PutSecret(Store& store, std::string_view name) {
  return store.Write([&](StoreTransaction& transaction) {
    return transaction.PutSecret(name, AsBytes(name));
  });
}

bool HasSecret(Store& store, std::string_view name) {
  bool found = false;
  const Status status = store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto value, view.FindSecret(name));
    found = value.has_value();
    return {};
  });
  EXPECT_TRUE(status.has_value());
  return found;
}

TEST(SqliteStoreTest, KeepsWhatWasCommittedAndNothingElse) {
  const TempFolder folder;
  {
    const auto store = *Open(folder.Path("db"));
    ASSERT_TRUE(PutSecret(*store, "kept").has_value());
    const Status failed =
        store->Write([](StoreTransaction& transaction) -> Status {
          CS_RETURN_IF_ERROR(transaction.PutSecret("dropped", {}));
          return Fail(ErrorCode::kNonceUnknown);
        });
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, ErrorCode::kNonceUnknown);
  }
  const auto store =
      *OpenStore(folder.Path("db"), SqlStore::Mode::kMustExist);
  EXPECT_TRUE(HasSecret(*store, "kept"));
  EXPECT_FALSE(HasSecret(*store, "dropped"));
}

TEST(SqliteStoreTest, UndoesAUnitThatThrows) {
  const TempFolder folder;
  const auto store = *Open(folder.Path("db"));
  const Status failed =
      store->Write([](StoreTransaction& transaction) -> Status {
        CS_RETURN_IF_ERROR(transaction.PutSecret("dropped", {}));
        throw std::runtime_error("oops");
      });
  EXPECT_EQ(failed.error().code, ErrorCode::kInternal);
  EXPECT_FALSE(HasSecret(*store, "dropped"));
  EXPECT_TRUE(PutSecret(*store, "next").has_value());
}

// Units that fail beside units that succeed, in shared commits.
TEST(SqliteStoreTest, KeepsUnitsApartThatShareACommit) {
  const TempFolder folder;
  const auto store = *Open(folder.Path("db"));
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&store, t] {
        for (int i = 0; i < 50; ++i) {
          const std::string name = std::to_string(t) + "." + std::to_string(i);
          const Status status =
              store->Write([&](StoreTransaction& transaction) -> Status {
                CS_RETURN_IF_ERROR(transaction.PutSecret(name, {}));
                if (i % 3 == 0) return Fail(ErrorCode::kTokenUsed);
                return {};
              });
          EXPECT_EQ(status.has_value(), i % 3 != 0);
        }
      });
    }
  }
  for (int t = 0; t < 8; ++t) {
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(HasSecret(*store, std::to_string(t) + "." + std::to_string(i)),
                i % 3 != 0);
    }
  }
}

// A38: whatever a name or id is made of, it is a value and not SQL.
TEST(SqliteStoreTest, TakesAnyBytesForNamesAndIds) {
  const TempFolder folder;
  const auto store = *Open(folder.Path("db"));
  const std::string names[] = {"'; DROP TABLE secrets; --",
                               std::string("a\0b", 3),
                               "\xff\xfe",
                               "%",
                               "é",
                               "e\u0301"};
  for (const std::string& name : names) {
    ASSERT_TRUE(PutSecret(*store, name).has_value());
  }
  for (const std::string& name : names) {
    EXPECT_TRUE(HasSecret(*store, name));
  }
  EXPECT_FALSE(HasSecret(*store, "a"));
  EXPECT_FALSE(HasSecret(*store, ""));
}

// A55
TEST(SqliteStoreTest, ReadsEntriesUpToTheFirstThatIsMissing) {
  ServiceRig rig;
  ASSERT_TRUE(rig.store
                  ->Write([](StoreTransaction& transaction) -> Status {
                    for (const uint64_t index : {100, 101, 103}) {
                      CS_RETURN_IF_ERROR(transaction.AddLedgerEntry(
                          index, 1, Bytes{static_cast<uint8_t>(index)}));
                    }
                    return {};
                  })
                  .has_value());
  ASSERT_TRUE(rig.store
                  ->Read([](StoreView& view) -> Status {
                    const std::vector<Bytes> both{Bytes{100}, Bytes{101}};
                    EXPECT_EQ(view.LedgerEntries(100, 10).value(), both);
                    EXPECT_EQ(view.LedgerEntries(100, 2).value(), both);
                    EXPECT_TRUE(view.LedgerEntries(102, 10).value().empty());
                    return {};
                  })
                  .has_value());
}

TEST(SqliteStoreTest, RefusesANewerSchema) {
  const TempFolder folder;
  { const auto store = *Open(folder.Path("db")); }
  {
    auto db = *SqliteDatabase::Open(folder.Path("db"));
    ASSERT_TRUE(db.SetSchemaVersion(99).has_value());
  }
  const auto store = Open(folder.Path("db"));
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kSchemaTooNew);
  EXPECT_NE(store.error().detail.find("99"), std::string::npos);
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
      OpenStore(folder.Path("none"), SqlStore::Mode::kMustExist)
          .error()
          .code,
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

TEST(LedgerWriterTest, RefusesToSignOverARestoredDatabase) {
  ServiceRig rig;
  const std::string copy = rig.folder.Path("backup.db");
  ASSERT_TRUE(rig.store
                  ->Read([&](StoreView&) -> Status {
                    std::filesystem::copy_file(rig.config.database, copy);
                    std::filesystem::copy_file(rig.config.database + "-wal",
                                               copy + "-wal");
                    return {};
                  })
                  .has_value());
  rig.SetRules("# newer\n");  // One more entry, signed.
  const auto restored = *Open(copy);
  LedgerWriter ledger(*restored, rig.ledger_key, rig.config.head_file,
                      rig.clock);
  const Status head = ledger.CheckHead();
  ASSERT_FALSE(head.has_value());
  EXPECT_EQ(head.error().code, ErrorCode::kLedgerRolledBack);
}

TEST(LedgerWriterTest, RefusesToSignAFork) {
  ServiceRig rig;
  const std::string copy = rig.folder.Path("backup.db");
  ASSERT_TRUE(rig.store
                  ->Read([&](StoreView&) -> Status {
                    std::filesystem::copy_file(rig.config.database, copy);
                    std::filesystem::copy_file(rig.config.database + "-wal",
                                               copy + "-wal");
                    return {};
                  })
                  .has_value());
  rig.SetRules("# newer\n");
  const auto other = *Open(copy);
  LedgerWriter ledger(*other, rig.ledger_key, rig.config.head_file, rig.clock);
  v1::LedgerEntry entries[2];
  for (auto& entry : entries) entry.set_detail("another history");
  ASSERT_TRUE(other
                  ->Write([&](StoreTransaction& transaction) -> Status {
                    CS_RETURN_IF_ERROR(ledger.Append(transaction, entries));
                    return {};
                  })
                  .has_value());
  EXPECT_EQ(ledger.CheckHead().error().code, ErrorCode::kLedgerFork);
}

TEST(LedgerWriterTest, RefusesAMissingOrForeignHeadFile) {
  ServiceRig rig;
  LedgerWriter ledger(*rig.store, rig.ledger_key, rig.config.head_file,
                      rig.clock);
  EXPECT_TRUE(ledger.CheckHead().has_value());
  std::ofstream(rig.config.head_file) << "nonsense";
  EXPECT_EQ(
      LedgerWriter(*rig.store, rig.ledger_key, rig.config.head_file, rig.clock)
          .CheckHead()
          .error()
          .code,
      ErrorCode::kStorageCorrupt);
  std::filesystem::remove(rig.config.head_file);
  EXPECT_EQ(
      LedgerWriter(*rig.store, rig.ledger_key, rig.config.head_file, rig.clock)
          .CheckHead()
          .error()
          .code,
      ErrorCode::kLedgerRolledBack);
}

// A crash between the commit and the signature.
TEST(LedgerWriterTest, SignsWhatWasCommittedBeforeACrash) {
  ServiceRig rig;
  v1::LedgerEntry entry;
  ASSERT_TRUE(
      rig.store
          ->Write([&](StoreTransaction& transaction) -> Status {
            CS_RETURN_IF_ERROR(rig.ledger->Append(transaction, {&entry, 1}));
            return {};
          })
          .has_value());
  LedgerWriter after(*rig.store, rig.ledger_key, rig.config.head_file,
                     rig.clock);
  ASSERT_TRUE(after.CheckHead().has_value());
  EXPECT_EQ(rig.LedgerSize(), 3u);  // Checks that a checkpoint covers it.
}

// A crash between remembering the head and storing its checkpoint.
TEST(LedgerWriterTest, SignsAgainAHeadWhoseCheckpointWasLost) {
  ServiceRig rig;
  v1::LedgerEntry entry;
  ASSERT_TRUE(
      rig.store
          ->Write([&](StoreTransaction& transaction) -> Status {
            CS_RETURN_IF_ERROR(rig.ledger->Append(transaction, {&entry, 1}));
            return {};
          })
          .has_value());
  const auto head = rig.Look([](StoreView& view) { return view.LedgerHead(); });
  {
    auto file = *HeadFile::Lock(rig.config.head_file, "authz.example/log");
    ASSERT_TRUE(file.Store({head.size, head.root}).has_value());
  }
  LedgerWriter after(*rig.store, rig.ledger_key, rig.config.head_file,
                     rig.clock);
  ASSERT_TRUE(after.CheckHead().has_value());
  EXPECT_EQ(rig.LedgerSize(), 3u);
}

TEST(LedgerWriterTest, AppendsFromManyThreadsWithoutGap) {
  ServiceRig rig;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&rig] {
        for (int i = 0; i < 20; ++i) {
          v1::LedgerEntry entries[3];
          uint64_t first = 0;
          EXPECT_TRUE(rig.store
                          ->Write([&](StoreTransaction& transaction) -> Status {
                            CS_ASSIGN_OR_RETURN(
                                first,
                                rig.ledger->Append(transaction, entries));
                            return {};
                          })
                          .has_value());
          EXPECT_TRUE(rig.ledger->Publish(first + 2).has_value());
        }
      });
    }
  }
  EXPECT_EQ(rig.LedgerSize(), 2u + 6 * 20 * 3);
}

TEST(EpochTest, IsGoodForOneDeviceAndItsTime) {
  const EpochNonces epochs(Secret(RandomBytes(32)), 300);
  const Bytes device(16, 1);
  const Bytes other(16, 2);
  const int64_t now = 1'750'000'000'000;
  const Bytes nonce = epochs.Mint(device, now);
  EXPECT_EQ(nonce.size(), 32u);
  EXPECT_TRUE(epochs.Check(device, nonce, now).has_value());
  EXPECT_TRUE(epochs.Check(device, nonce, now + 300'000).has_value());
  EXPECT_EQ(epochs.Check(device, nonce, now + 300'001).error().code,
            ErrorCode::kEpochExpired);
  EXPECT_EQ(epochs.Check(device, nonce, now - 5'001).error().code,
            ErrorCode::kEpochExpired);
  EXPECT_EQ(epochs.Check(other, nonce, now).error().code,
            ErrorCode::kNonceUnknown);
  for (size_t i = 0; i < nonce.size(); ++i) {
    Bytes changed = nonce;
    changed[i] ^= 1;
    EXPECT_EQ(epochs.Check(device, changed, now).error().code,
              ErrorCode::kNonceUnknown);
  }
  EXPECT_EQ(epochs.Check(device, {}, now).error().code,
            ErrorCode::kNonceUnknown);
  EXPECT_EQ(epochs.Check(device, Bytes(33, 0), now).error().code,
            ErrorCode::kNonceUnknown);
}

TEST(RateLimiterTest, LetsBurstsPassAndThenTheRate) {
  RateLimiter limiter(10, 1000, 2);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limiter.Take("a", 0), 0);
  EXPECT_EQ(limiter.Take("a", 0), 1);
  EXPECT_EQ(limiter.Take("b", 0), 0);
  EXPECT_EQ(limiter.Take("a", 100), 0);
  EXPECT_EQ(limiter.Take("a", 100), 1);
  // Memory is bounded: the longest quiet key is forgotten.
  EXPECT_EQ(limiter.Take("c", 100), 0);
  EXPECT_EQ(limiter.Take("d", 100), 0);
  EXPECT_EQ(limiter.Take("a", 100), 0);
}

TEST(RateLimiterTest, SaysHowLongToWait) {
  RateLimiter limiter(1, 60'000);
  EXPECT_EQ(limiter.Take("a", 0), 0);
  EXPECT_EQ(limiter.Take("a", 0), 60);
  EXPECT_EQ(limiter.Take("a", 30'000), 30);
}

TEST(TokensTest, AreFoundAgainByTheirSecret) {
  const NewToken token = MintEnrollmentToken("thumb", 3, 1'000, 60);
  EXPECT_EQ(EnrollmentTokenKey(token.text, "thumb").value(),
            token.row.secret_sha256);
  EXPECT_FALSE(EnrollmentTokenKey(token.text, "other").has_value());
  EXPECT_FALSE(AdminTokenKey("Bearer " + token.text).has_value());
  const NewToken admin = MintAdminToken(1'000, 60);
  EXPECT_EQ(AdminTokenKey("Bearer " + admin.text).value(),
            admin.row.secret_sha256);
  EXPECT_EQ(CheckToken(admin.row, TokenKind::kEnroll, 1'000).error().code,
            ErrorCode::kTokenInvalid);
  EXPECT_TRUE(CheckToken(token.row, TokenKind::kEnroll, 60'999).has_value());
  EXPECT_EQ(CheckToken(token.row, TokenKind::kEnroll, 61'000).error().code,
            ErrorCode::kTokenExpired);
  TokenRow used = token.row;
  used.uses = 3;
  EXPECT_EQ(CheckToken(used, TokenKind::kEnroll, 1'000).error().code,
            ErrorCode::kTokenUsed);
  TokenRow revoked = token.row;
  revoked.revoked = true;
  EXPECT_EQ(CheckToken(revoked, TokenKind::kEnroll, 1'000).error().code,
            ErrorCode::kTokenInvalid);
}

TEST(JsonWriterTest, WritesJson) {
  JsonWriter json;
  json.BeginObject()
      .String("a", "\"\\\n\x01\x7f é")
      .Int("b", -5)
      .BeginArray("c")
      .Bool("", true)
      .String("", "x")
      .EndArray()
      .BeginObject("d")
      .EndObject()
      .Optional("e", "")
      .Raw("f", "[1]")
      .EndObject();
  EXPECT_EQ(json.text(),
            "{\"a\":\"\\\"\\\\\\u000a\\u0001\\u007f é\",\"b\":-5,"
            "\"c\":[true,\"x\"],\"d\":{},\"f\":[1]}");
  EXPECT_TRUE(CheckJson(json.text(), 1000).has_value());
}

}  // namespace
}  // namespace countersign::authz
