#include "agent/daemon/journal.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>

#include "agent/daemon/batch.h"
#include "attest/base/digest.h"
#include "attest/statement/merkle.h"
#include "attest/statement/statement.h"
#include "countersign/v1/statements.pb.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/countersign-journal-XXXXXX";
    folder_ = ::mkdtemp(name);
    Open();
    device_.service.issuer = "https://authz.test";
    device_.record.set_ak_name(AsString(ak_name_));
    session_ = std::make_shared<Session>();
    session_->id = std::string(16, 's');
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open() {
    store_.reset();
    store_ = *platform::StateStore::Open(folder_);
    journal_ = std::make_unique<Journal>(*store_);
  }
  Journal::Recovered Recover() { return *journal_->Recover(ak_name_); }

  std::unique_ptr<Batch> NewBatch(const JournalHead& head, int actions,
                                  const std::string& end = {}) {
    BatchBuilder builder(device_, head, nonce_, 2048);
    for (int i = 0; i < actions; ++i) {
      PendingAction action;
      action.session = session_;
      action.request = "request";
      if (i + 1 == actions) action.session_end = end;
      EXPECT_FALSE(builder.Add(std::move(action)).has_value());
    }
    return builder.Close();
  }
  JournalHead Append(const JournalHead& head, int actions) {
    const auto batch = NewBatch(head, actions);
    EXPECT_TRUE(Succeeds(journal_->Append(batch->entry, batch->after, {})));
    return batch->after;
  }
  void Corrupt(const std::string& key, std::optional<Bytes> value) {
    const platform::StateStore::Write write{key, std::move(value)};
    ASSERT_TRUE(Succeeds(store_->Commit({&write, 1})));
  }
  std::string KeyOfBatch(size_t index) {
    return (*store_->Scan("batch/", "", 100))[index].key;
  }

  const Bytes ak_name_ = Bytes(34, 7);
  const std::string nonce_ = std::string(32, 'n');
  std::string folder_;
  std::unique_ptr<platform::StateStore> store_;
  std::unique_ptr<Journal> journal_;
  Device device_;
  SessionPtr session_;
};

TEST_F(JournalTest, BeginsWithARandomIdAndZeroNumbers) {
  const auto first = Recover();
  EXPECT_EQ(first.head.journal_id.size(), 16u);
  EXPECT_EQ(first.head.next_batch, 0u);
  EXPECT_EQ(first.head.previous_batch_digest, Sha256Digest{});
  EXPECT_TRUE(first.new_journal_reason.empty());
}

TEST_F(JournalTest, GoesOnWhereItStopped) {
  JournalHead head = Recover().head;
  head = Append(head, 3);
  head = Append(head, 2);
  Open();
  const auto again = Recover();
  EXPECT_EQ(again.head.journal_id, head.journal_id);
  EXPECT_EQ(again.head.next_batch, 2u);
  EXPECT_EQ(again.head.next_action, 5u);
  EXPECT_EQ(again.head.previous_batch_digest, head.previous_batch_digest);
  ASSERT_EQ(again.backlog.size(), 2u);
  EXPECT_EQ(again.backlog[0].sequence, 0u);
  EXPECT_EQ(again.backlog[0].batch.actions_size(), 3);
}

TEST_F(JournalTest, ForgetsWhatWasAnswered) {
  JournalHead head = Recover().head;
  head = Append(head, 1);
  journal_->Acknowledge(0);
  head = Append(head, 1);
  journal_->Acknowledge(1);
  ASSERT_TRUE(Succeeds(journal_->Trim()));
  Open();
  const auto again = Recover();
  EXPECT_TRUE(again.backlog.empty());
  EXPECT_EQ(again.head.next_batch, 2u);
}

TEST_F(JournalTest, EndsASessionWithTheLeafThatSaysSo) {
  state::OpenSession open;
  open.set_session_id(session_->id);
  open.set_binding_digest(std::string(32, 'd'));
  ASSERT_TRUE(Succeeds(journal_->PutSession(open)));
  const auto recovered = Recover();
  ASSERT_EQ(recovered.sessions.size(), 1u);
  const auto batch = NewBatch(recovered.head, 2, "client_closed");
  EXPECT_EQ(batch->EndedSessions(), std::vector<std::string>{session_->id});
  ASSERT_TRUE(Succeeds(
      journal_->Append(batch->entry, batch->after, batch->EndedSessions())));
  Open();
  EXPECT_TRUE(Recover().sessions.empty());
}

TEST_F(JournalTest, BeginsANewOneForAnotherAk) {
  const JournalHead head = Append(Recover().head, 1);
  Open();
  const auto other = journal_->Recover(Bytes(34, 8));
  ASSERT_TRUE(Succeeds(other));
  EXPECT_NE(other->head.journal_id, head.journal_id);
  EXPECT_EQ(other->head.next_batch, 0u);
  EXPECT_FALSE(other->new_journal_reason.empty());
  // What was not delivered is kept for a person to look at.
  EXPECT_TRUE(store_->Scan("batch/", "", 10)->empty());
  EXPECT_EQ(store_->Scan("refused/", "", 10)->size(), 1u);
}

TEST_F(JournalTest, BeginsANewOneWhenBatchesAreMissingOrDamaged) {
  for (const int damage : {0, 1, 2, 3}) {
    JournalHead head = Recover().head;
    head = Append(head, 1);
    head = Append(head, 1);
    switch (damage) {
      case 0:  // The last is lost.
        Corrupt(KeyOfBatch(1), std::nullopt);
        break;
      case 1:  // One cannot be read.
        Corrupt(KeyOfBatch(0), Bytes{0xff});
        break;
      case 2:  // One stands in for another.
        Corrupt(KeyOfBatch(1), (*store_->Scan("batch/", "", 1))[0].value);
        break;
      case 3:  // The head is damaged.
        Corrupt("journal", Bytes{0xff});
        break;
    }
    Open();
    const auto again = Recover();
    EXPECT_FALSE(again.new_journal_reason.empty()) << damage;
    EXPECT_NE(again.head.journal_id, head.journal_id) << damage;
    EXPECT_TRUE(again.backlog.empty()) << damage;
  }
}

TEST_F(JournalTest, RejectsABatchOfAJournalThatIsOver) {
  const JournalHead head = Recover().head;
  const auto batch = NewBatch(head, 1);
  ASSERT_TRUE(Succeeds(journal_->Renew(ak_name_)));
  EXPECT_TRUE(FailsWith(journal_->Append(batch->entry, batch->after, {}),
                        ErrorCode::kBusy));
}

TEST_F(JournalTest, KeepsABoundedNumberOfRefusedBatches) {
  for (int i = 0; i < 100; ++i) {
    Append(Recover().head, 1);
    ASSERT_TRUE(Succeeds(journal_->Renew(ak_name_)));
  }
  EXPECT_LE(store_->Scan("refused/", "", 1000)->size(), 64u);
}

TEST_F(JournalTest, BatchProvesEachOfItsLeaves) {
  const auto batch = NewBatch(Recover().head, 5);
  v1::ActionBatch statement;
  ASSERT_TRUE(statement.ParseFromString(batch->entry.batch.statement().body()));
  EXPECT_EQ(statement.tree_size(), 5u);
  const AnsweredBatch answered{batch->entry, batch->tree, {}};
  for (uint32_t leaf = 0; leaf < 5; ++leaf) {
    const v1::ActionProof proof = answered.ProofOf(leaf);
    const auto path = statement::HashPathFrom(proof.path());
    ASSERT_TRUE(Succeeds(path));
    const auto root = statement::RootFromInclusionPath(
        statement::LeafHash(
            statement::StatementType::kAction,
            AsBytes(batch->entry.batch.actions(static_cast<int>(leaf)))),
        leaf, 5, *path);
    ASSERT_TRUE(Succeeds(root));
    EXPECT_EQ(AsString(*root), statement.root());
  }
}

// The tree is hashed once, not once for each proof.
TEST_F(JournalTest, BatchProvesAllItsLeavesInTheTimeOfAFewTrees) {
  using std::chrono::steady_clock;
  const auto batch = NewBatch(Recover().head, 2048);
  statement::HashPath leaves;
  for (const std::string& action : batch->entry.batch.actions()) {
    leaves.push_back(statement::LeafHash(statement::StatementType::kAction,
                                         AsBytes(action)));
  }
  const auto start = steady_clock::now();
  const statement::MerkleTree tree(leaves);
  const auto one_tree = steady_clock::now() - start;
  const AnsweredBatch answered{batch->entry, batch->tree, {}};
  const auto before = steady_clock::now();
  for (uint32_t leaf = 0; leaf < 2048; ++leaf) {
    EXPECT_EQ(answered.ProofOf(leaf).path_size(), 11);
  }
  EXPECT_LT(steady_clock::now() - before, 500 * one_tree);
}

TEST_F(JournalTest, BatchStopsAtItsBounds) {
  const JournalHead head = Recover().head;
  BatchBuilder few(device_, head, nonce_, 2);
  for (int i = 0; i < 3; ++i) {
    PendingAction action;
    action.session = session_;
    EXPECT_EQ(few.Add(std::move(action)).has_value(), i == 2);
  }
  BatchBuilder large(device_, head, nonce_, 2048);
  int taken = 0;
  while (true) {
    PendingAction action;
    action.session = session_;
    action.request = std::string(1900, 'r');
    if (large.Add(std::move(action)).has_value()) break;
    ++taken;
  }
  const auto batch = large.Close();
  EXPECT_GT(taken, 300);
  EXPECT_LE(batch->Evidence().ByteSizeLong(), statement::kMaxBatchSize);
}

}  // namespace
}  // namespace countersign::agent
