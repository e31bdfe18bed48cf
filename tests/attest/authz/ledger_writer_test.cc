#include "attest/authz/ledger_writer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "attest/authz/head_file.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

Result<std::unique_ptr<SqlStore>> Open(const std::string& path) {
  return OpenStore(path, SqlStore::Mode::kCreate);
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

}  // namespace
}  // namespace countersign::authz
