// The contract of store.h, on every database.
#include <fstream>
#include <thread>

#include "attest/authz/storage/sqlite/sqlite_driver.h"
#include "attest/base/digest.h"
#include "tests/attest/authz/on_each_database.h"
#include "tests/attest/authz/store_steps.h"

namespace countersign::authz {
namespace {

using StoreTest = OnEachDatabase;

TEST_P(StoreTest, KeepsWhatWasCommittedAndNothingElse) {
  {
    const auto store = *Open();
    ASSERT_TRUE(PutSecret(*store, "kept").has_value());
    const Status failed =
        store->Write([](StoreTransaction& transaction) -> Status {
          CS_RETURN_IF_ERROR(transaction.PutSecret("dropped", {}));
          return Fail(ErrorCode::kNonceUnknown);
        });
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, ErrorCode::kNonceUnknown);
  }
  const auto store = *Open(SqlStore::Mode::kMustExist);
  EXPECT_TRUE(HasSecret(*store, "kept"));
  EXPECT_FALSE(HasSecret(*store, "dropped"));
}

TEST_P(StoreTest, UndoesAUnitThatThrows) {
  const auto store = *Open();
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
TEST_P(StoreTest, KeepsUnitsApartThatShareACommit) {
  const auto store = *Open();
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
TEST_P(StoreTest, TakesAnyBytesForNamesAndIds) {
  const auto store = *Open();
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

// Two processes: two stores that share nothing but the database.
TEST_P(StoreTest, LetsOneOfTwoProcessesSpendANonce) {
  const auto one = *Open();
  const auto other = *Open(SqlStore::Mode::kMustExist);
  constexpr int kNonces = 40;
  const auto nonce = [](int i) { return Sha256(AsBytes(std::to_string(i))); };
  ASSERT_TRUE(one->Write([&](StoreTransaction& transaction) -> Status {
                   for (int i = 0; i < kNonces; ++i) {
                     ChallengeRow row;
                     row.nonce = ToBytes(nonce(i));
                     row.purpose = "session";
                     CS_RETURN_IF_ERROR(transaction.AddChallenge(row));
                   }
                   return {};
                 })
                  .has_value());
  std::atomic<int> spent = 0;
  {
    std::vector<std::jthread> threads;
    for (SqlStore* store : {one.get(), other.get(), one.get(), other.get()}) {
      threads.emplace_back([&, store] {
        for (int i = 0; i < kNonces; ++i) {
          std::optional<ChallengeRow> row;
          EXPECT_TRUE(store
                          ->Write([&](StoreTransaction& transaction) -> Status {
                            CS_ASSIGN_OR_RETURN(
                                row, transaction.TakeChallenge(nonce(i)));
                            return {};
                          })
                          .has_value());
          if (row) ++spent;
        }
      });
    }
  }
  EXPECT_EQ(spent, kNonces);
}

TEST_P(StoreTest, LetsOneOfTwoProcessesConsumeOnce) {
  const auto one = *Open();
  const auto other = *Open(SqlStore::Mode::kMustExist);
  std::atomic<int> consumed = 0;
  {
    std::vector<std::jthread> threads;
    for (SqlStore* store : {one.get(), other.get()}) {
      threads.emplace_back([&, store] {
        for (int i = 0; i < 40; ++i) {
          bool mine = false;
          EXPECT_TRUE(store
                          ->Write([&](StoreTransaction& transaction) -> Status {
                            CS_ASSIGN_OR_RETURN(
                                mine,
                                transaction.ConsumeOnce(std::to_string(i), 1));
                            return {};
                          })
                          .has_value());
          if (mine) ++consumed;
        }
      });
    }
  }
  EXPECT_EQ(consumed, 40);
}

TEST_P(StoreTest, ShowsAReaderOneState) {
  const auto store = *Open();
  ASSERT_TRUE(PutSecret(*store, "before").has_value());
  ASSERT_TRUE(store
                  ->Read([&](StoreView& view) -> Status {
                    EXPECT_TRUE(view.FindSecret("before")->has_value());
                    EXPECT_TRUE(PutSecret(*store, "meanwhile").has_value());
                    EXPECT_FALSE(view.FindSecret("meanwhile")->has_value());
                    return {};
                  })
                  .has_value());
  EXPECT_TRUE(HasSecret(*store, "meanwhile"));
}

// A write whose error may come late: the unit fails, and the one beside it
// does not.
TEST_P(StoreTest, FailsAUnitForAWriteThatNobodyLookedAt) {
  const auto store = *Open();
  const auto add_twice = [](StoreTransaction& transaction) -> Status {
    for (int i = 0; i < 2; ++i) {
      ChallengeRow row;
      row.nonce = Bytes(32, 7);
      if (const Status added = transaction.AddChallenge(row); !added) return {};
    }
    return transaction.PutSecret("beside", {});
  };
  std::vector<std::jthread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      if (t % 2 == 0) {
        // SQLite tells at once, and the unit above swallows that.
        const Status written = store->Write(add_twice);
        EXPECT_TRUE(!written || GetParam() == DatabaseKind::kSqlite);
      } else {
        EXPECT_TRUE(PutSecret(*store, std::to_string(t)).has_value());
      }
    });
  }
  threads.clear();
  EXPECT_FALSE(HasSecret(*store, "beside"));
  for (const char* name : {"1", "3", "5"}) EXPECT_TRUE(HasSecret(*store, name));
}

TEST_P(StoreTest, FindsTheKnownAmongManyActions) {
  const auto store = *Open();
  const auto digest = [](int i) { return Sha256(AsBytes(std::to_string(i))); };
  constexpr int kActions = 300;
  ASSERT_TRUE(store
                  ->Write([&](StoreTransaction& transaction) -> Status {
                    BatchRow batch;
                    CS_RETURN_IF_ERROR(transaction.AddBatch(batch));
                    for (int i = 0; i < kActions; ++i) {
                      ActionRow row;
                      row.digest = digest(i);
                      row.leaf_index = static_cast<uint32_t>(i);
                      row.ledger_index = static_cast<uint64_t>(i);
                      CS_RETURN_IF_ERROR(transaction.AddAction(row));
                    }
                    return {};
                  })
                  .has_value());
  std::vector<Sha256Digest> asked;
  for (int i = 0; i < 2048; ++i) asked.push_back(digest(i * 2));
  ASSERT_TRUE(store
                  ->Read([&](StoreView& view) -> Status {
                    CS_ASSIGN_OR_RETURN(auto known, view.KnownActions(asked));
                    EXPECT_EQ(known.size(), size_t{kActions / 2});
                    for (const Sha256Digest& one : known) {
                      EXPECT_TRUE(view.FindAction(one)->has_value());
                    }
                    EXPECT_TRUE(view.KnownActions({})->empty());
                    const std::vector<Sha256Digest> none{digest(-1)};
                    EXPECT_TRUE(view.KnownActions(none)->empty());
                    return {};
                  })
                  .has_value());
}

// A55
TEST_P(StoreTest, ReadsEntriesUpToTheFirstThatIsMissing) {
  const auto store = *Open();
  ASSERT_TRUE(store
                  ->Write([](StoreTransaction& transaction) -> Status {
                    for (const uint64_t index : {100, 101, 103}) {
                      CS_RETURN_IF_ERROR(transaction.AddLedgerEntry(
                          index, 1, Bytes{static_cast<uint8_t>(index)}));
                    }
                    return {};
                  })
                  .has_value());
  ASSERT_TRUE(store
                  ->Read([](StoreView& view) -> Status {
                    const std::vector<Bytes> both{Bytes{100}, Bytes{101}};
                    EXPECT_EQ(view.LedgerEntries(100, 10).value(), both);
                    EXPECT_EQ(view.LedgerEntries(100, 2).value(), both);
                    EXPECT_TRUE(view.LedgerEntries(102, 10).value().empty());
                    EXPECT_EQ(view.FirstEntrySince(1).value(), 100u);
                    EXPECT_EQ(view.FirstEntrySince(2).value(), 0u);
                    return {};
                  })
                  .has_value());
}

TEST_P(StoreTest, KeepsOneCheckpointASize) {
  const auto store = *Open();
  const auto add = [&](const std::string& note) {
    return store->Write([&](StoreTransaction& transaction) {
      return transaction.AddCheckpoint({.size = 5, .note = note, .time_ms = 1});
    });
  };
  ASSERT_TRUE(add("log\n5\nroot\n\n- a signature\n").has_value());
  EXPECT_TRUE(add("log\n5\nroot\n\n- another\n").has_value());
  const Status other = add("log\n5\nanother root\n\n- a signature\n");
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, ErrorCode::kLedgerFork);
}

TEST_P(StoreTest, DropsWhatExpired) {
  const auto store = *Open();
  constexpr int64_t kDayMs = 86'400'000;
  const auto consume = [](StoreTransaction& transaction) {
    return transaction.ConsumeOnce("jti", 1);
  };
  ASSERT_TRUE(store
                  ->Write([&](StoreTransaction& transaction) -> Status {
                    EXPECT_TRUE(consume(transaction).value());
                    CS_RETURN_IF_ERROR(transaction.DropExpired(kDayMs));
                    EXPECT_FALSE(consume(transaction).value());
                    CS_RETURN_IF_ERROR(transaction.DropExpired(2 * kDayMs));
                    EXPECT_TRUE(consume(transaction).value());
                    return {};
                  })
                  .has_value());
}

TEST_P(StoreTest, RefusesWhatIsNoDatabaseOfOurs) {
  if (GetParam() == DatabaseKind::kSqlite) std::ofstream(database_).close();
  const auto store = Open(SqlStore::Mode::kMustExist);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kStorageCorrupt);
}

COUNTERSIGN_ON_EACH_DATABASE(StoreTest);

}  // namespace
}  // namespace countersign::authz
