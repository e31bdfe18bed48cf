// Several services over one database: the same keys, a store and a head file
// each, as on two hosts.
#include <thread>

#include "attest/authz/head_file.h"
#include "attest/authz/revocation.h"
#include "tests/attest/authz/on_each_database.h"

namespace countersign::authz {
namespace {

// What another host runs, over the rig's database.
struct OtherHost {
  explicit OtherHost(ServiceRig& rig)
      : store(*OpenStore(rig.config.database, SqlStore::Mode::kMustExist)),
        ledger(*store, rig.ledger_key, rig.folder.Path("other.head"),
               rig.clock),
        service{rig.config,      *store,     ledger,           *rig.policy,
                nullptr,         rig.epochs, rig.event_tokens, *rig.issuer,
                rig.service_key, rig.clock},
        findings(*store, ledger, rig.clock),
        authorizer(service, findings) {}

  std::unique_ptr<SqlStore> store;
  LedgerWriter ledger;
  Service service;
  Findings findings;
  Authorizer authorizer;
};

class SeveralProcessesTest : public OnEachDatabase {
 protected:
  void SetUp() override {
    OnEachDatabase::SetUp();
    if (IsSkipped()) return;
    rig_ = std::make_unique<ServiceRig>(RigOptions{.database = database_});
    other_ = std::make_unique<OtherHost>(*rig_);
  }
  void Join() {
    const auto joined = other_->ledger.Join();
    ASSERT_TRUE(joined.has_value()) << joined.error().detail;
  }
  static Result<uint64_t> AppendOne(Store& store, LedgerWriter& ledger,
                                    std::string_view detail = {}) {
    v1::LedgerEntry entry;
    entry.set_detail(std::string(detail));
    uint64_t index = 0;
    CS_RETURN_IF_ERROR(
        store.Write([&](StoreTransaction& transaction) -> Status {
          CS_ASSIGN_OR_RETURN(index, ledger.Append(transaction, {&entry, 1}));
          return {};
        }));
    CS_RETURN_IF_ERROR(ledger.Publish(index));
    return index;
  }

  std::unique_ptr<ServiceRig> rig_;
  std::unique_ptr<OtherHost> other_;
};

TEST_P(SeveralProcessesTest, KeepOneOrderUnderLoad) {
  Join();
  Laptop laptops[] = {Laptop(*rig_), Laptop(*rig_, &other_->authorizer)};
  std::vector<LaptopSession> sessions;
  for (Laptop& laptop : laptops) {
    laptop.Enroll();
    sessions.push_back(laptop.OpenSession());
  }
  const size_t before = rig_->LedgerSize();
  constexpr size_t kBatches = 8;
  constexpr size_t kActions = 25;
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        for (size_t batch = 0; batch < kBatches; ++batch) {
          std::vector<v1::Action> actions;
          for (size_t k = 0; k < kActions; ++k) {
            actions.push_back(laptops[i].NewAction(sessions[i]));
          }
          for (const auto& decision :
               laptops[i].Decide(laptops[i].NewBatch(std::move(actions)))) {
            EXPECT_EQ(decision.decision(), "permit");
          }
        }
      });
    }
  }
  // Verifies the whole ledger under the newest checkpoint.
  EXPECT_EQ(rig_->LedgerSize(), before + 2 * kBatches * kActions);
}

// The same batch at both at once: one of them decides, both answer the same.
TEST_P(SeveralProcessesTest, DecideABatchOnce) {
  Join();
  Laptop laptop(*rig_);
  laptop.Enroll();
  const LaptopSession session = laptop.OpenSession();
  const v1::BatchEvidence batch = laptop.NewBatch({laptop.NewAction(session)});
  const size_t before = rig_->LedgerSize();
  std::string jti[2];
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        Authorizer& one = i == 0 ? *rig_->authorizer : other_->authorizer;
        const auto outcome = one.Authorize(batch);
        ASSERT_TRUE(outcome.has_value()) << outcome.error().detail;
        jti[i] = outcome->answer.decisions(0).grant_jti();
      });
    }
  }
  EXPECT_EQ(jti[0], jti[1]);
  EXPECT_FALSE(jti[0].empty());
  EXPECT_EQ(rig_->LedgerSize(), before + 1);
}

TEST_P(SeveralProcessesTest, SeeEachOthersRevocationsAtOnce) {
  Join();
  Laptop laptop(*rig_);
  laptop.Enroll();
  const LaptopSession session = laptop.OpenSession();
  EXPECT_EQ(laptop.Authorize(session).decision(), "permit");
  ASSERT_TRUE(RevokeDevice(*other_->store, other_->ledger, rig_->clock,
                           laptop.device.device_id, "lost")
                  .has_value());
  const auto outcome =
      laptop.Send(laptop.NewBatch({laptop.NewAction(session)}));
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::kDeviceRevoked);
}

TEST_P(SeveralProcessesTest, CatchUpByProofAlone) {
  Join();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(AppendOne(*rig_->store, *rig_->ledger).has_value());
  }
  // Its head file is three entries behind.
  ASSERT_TRUE(other_->ledger.CheckHead().has_value());
  ASSERT_TRUE(AppendOne(*other_->store, other_->ledger).has_value());
  ASSERT_TRUE(AppendOne(*rig_->store, *rig_->ledger).has_value());
  EXPECT_EQ(rig_->LedgerSize(), 2u + 5u);
}

TEST_P(SeveralProcessesTest, DoNotPublishWithoutAHead) {
  EXPECT_EQ(other_->ledger.CheckHead().error().code,
            ErrorCode::kLedgerRolledBack);
  Join();
  EXPECT_TRUE(other_->ledger.CheckHead().has_value());
  EXPECT_EQ(other_->ledger.Join().error().code, ErrorCode::kBadRequest);
}

TEST_P(SeveralProcessesTest, DoNotJoinUnderAnotherKey) {
  const auto key = *ledger::LedgerKey::Generate(rig_->ledger->origin());
  LedgerWriter stranger(*other_->store, key, rig_->folder.Path("third.head"),
                        rig_->clock);
  EXPECT_EQ(stranger.Join().error().code, ErrorCode::kCheckpointInvalid);
  EXPECT_FALSE(std::filesystem::exists(rig_->folder.Path("third.head")));
}

// A restored or failed-over database lacks what was acknowledged, below
// processes that run on.
class RestoredTest : public SeveralProcessesTest {
 protected:
  void SetUp() override {
    SeveralProcessesTest::SetUp();
    if (IsSkipped()) return;
    Join();
    Execute("CREATE DATABASE " + Name() + "_old TEMPLATE " + Name());
    Write();
    Execute("DROP DATABASE " + Name());
    Execute("ALTER DATABASE " + Name() + "_old RENAME TO " + Name());
  }
  // What the restored database will lack.
  virtual void Write() {
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(AppendOne(*rig_->store, *rig_->ledger).has_value());
      ASSERT_TRUE(AppendOne(*other_->store, other_->ledger).has_value());
    }
  }
  [[nodiscard]] std::string Name() const {
    const size_t start = sizeof("postgresql:///") - 1;
    return database_.substr(start, database_.find('?') - start);
  }
  void Execute(const std::string& sql) {
    server_->Execute(server_->admin_uri(),
                     "SELECT pg_terminate_backend(pid, 5000) FROM "
                     "pg_stat_activity WHERE datname = '" +
                         Name() + "'");
    server_->Execute(server_->admin_uri(), sql);
  }
};

TEST_P(RestoredTest, StopsAllThatRun) {
  EXPECT_EQ(AppendOne(*rig_->store, *rig_->ledger).error().code,
            ErrorCode::kLedgerRolledBack);
  EXPECT_EQ(AppendOne(*other_->store, other_->ledger).error().code,
            ErrorCode::kLedgerRolledBack);
}

TEST_P(RestoredTest, StopsAllThatStart) {
  for (const std::string& head :
       {rig_->config.head_file, rig_->folder.Path("other.head")}) {
    LedgerWriter ledger(*rig_->store, rig_->ledger_key, head, rig_->clock);
    EXPECT_EQ(ledger.CheckHead().error().code, ErrorCode::kLedgerRolledBack);
  }
}

// Somebody who had seen nothing later wrote on: a fork for all who had.
TEST_P(RestoredTest, StopsAllThatHaveSeenAnotherHistory) {
  LedgerWriter third(*rig_->store, rig_->ledger_key,
                     rig_->folder.Path("third.head"), rig_->clock);
  ASSERT_TRUE(third.Join().has_value());
  for (int i = 0; i < 9; ++i) {
    ASSERT_TRUE(AppendOne(*rig_->store, third, "another history").has_value());
  }
  EXPECT_EQ(AppendOne(*rig_->store, *rig_->ledger).error().code,
            ErrorCode::kLedgerFork);
  EXPECT_EQ(AppendOne(*other_->store, other_->ledger).error().code,
            ErrorCode::kLedgerFork);
}

// One host wrote all of it, and the other one idled.
class RestoredBelowAnIdleHostTest : public RestoredTest {
 protected:
  void Write() override {
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(AppendOne(*rig_->store, *rig_->ledger).has_value());
    }
    ASSERT_TRUE(other_->ledger.Follow().has_value());
  }
};

TEST_P(RestoredBelowAnIdleHostTest, StopsThatOneToo) {
  EXPECT_EQ(AppendOne(*other_->store, other_->ledger).error().code,
            ErrorCode::kLedgerRolledBack);
  EXPECT_EQ(other_->ledger.Follow().error().code, ErrorCode::kLedgerRolledBack);
}

COUNTERSIGN_ON_EACH_DATABASE(SeveralProcessesTest);
INSTANTIATE_TEST_SUITE_P(OfAServer, RestoredBelowAnIdleHostTest,
                         testing::Values(DatabaseKind::kPostgres), NameOf);
INSTANTIATE_TEST_SUITE_P(OfAServer, RestoredTest,
                         testing::Values(DatabaseKind::kPostgres), NameOf);

}  // namespace
}  // namespace countersign::authz
