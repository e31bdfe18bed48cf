// A52: a ledger that was deleted from, edited, reordered, truncated, forked or
// put back to an old head, and the first bad index by name.
#include "attest/ledger/audit.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/attest/ledger/memory_ledger.h"

namespace countersign::ledger {
namespace {

class AuditTest : public testing::Test {
 protected:
  // 900 entries; checkpoints at 300, 600 and 900.
  AuditTest() {
    for (int i = 0; i < 3; ++i) {
      ledger_.Append(300);
      evidence_.checkpoints.push_back(ledger_.Checkpoint(key_));
      heads_.push_back(ledger_.head);
    }
  }

  LedgerAudit Audit() {
    return VerifyLedger(ledger_, ledger_.tiles, key_.verifier(), evidence_)
        .value();
  }
  void ExpectFinding(ErrorCode code, uint64_t first, uint64_t last) {
    const LedgerAudit audit = Audit();
    ASSERT_TRUE(audit.finding);
    EXPECT_EQ(audit.finding->code, code) << audit.finding->detail;
    EXPECT_EQ(audit.finding->first_bad_index, first) << audit.finding->detail;
    EXPECT_EQ(audit.finding->last_index, last) << audit.finding->detail;
    EXPECT_FALSE(audit.finding->detail.empty());
  }
  // Makes the stored leaf of `index` that of the entry as it is now.
  void ChangeStoredLeaf(uint64_t index) {
    const auto leaf = statement::LeafHash(ByteSpan(ledger_.entries[index]));
    std::ranges::copy(leaf, ledger_.tiles.tiles[{0, index / 256}].begin() +
                                static_cast<ptrdiff_t>(index % 256 * 32));
  }

  LedgerKey key_ = LedgerKey::Generate("log.example").value();
  MemoryLedger ledger_;
  LedgerEvidence evidence_;
  std::vector<TreeHead> heads_;
};

TEST_F(AuditTest, FindsNothingInAnHonestLedger) {
  const LedgerAudit audit = Audit();
  EXPECT_FALSE(audit.finding);
  EXPECT_EQ(audit.head, heads_[2]);
  EXPECT_EQ(audit.entries, 900u);
}

TEST_F(AuditTest, FindsNothingWithOneCheckpointAndAKeptHead) {
  evidence_.checkpoints.erase(evidence_.checkpoints.begin(),
                              evidence_.checkpoints.begin() + 2);
  evidence_.kept_head = heads_[1];
  EXPECT_FALSE(Audit().finding);
}

TEST_F(AuditTest, FindsNothingInAnEmptyLedger) {
  MemoryLedger empty;
  const auto audit = VerifyLedger(empty, empty.tiles, key_.verifier(),
                                  {{empty.Checkpoint(key_)}, std::nullopt});
  ASSERT_TRUE(audit);
  EXPECT_FALSE(audit->finding);
}

TEST_F(AuditTest, IgnoresEntriesThatNoCheckpointCoversYet) {
  ledger_.Append(10);
  const LedgerAudit audit = Audit();
  EXPECT_FALSE(audit.finding);
  EXPECT_EQ(audit.entries, 900u);
}

TEST_F(AuditTest, NamesAnEditedEntry) {  // A52
  ledger_.entries[411].push_back('!');
  ExpectFinding(ErrorCode::kLedgerEntryMismatch, 411, 411);
}

TEST_F(AuditTest, NamesTheFirstOfTwoEditedEntries) {  // A52
  ledger_.entries[855].push_back('!');
  ledger_.entries[0].push_back('!');
  ExpectFinding(ErrorCode::kLedgerEntryMismatch, 0, 0);
}

TEST_F(AuditTest, NamesTheFirstOfTwoEntriesThatChangedPlaces) {  // A52
  std::swap(ledger_.entries[301], ledger_.entries[700]);
  ExpectFinding(ErrorCode::kLedgerEntryMismatch, 301, 301);
}

TEST_F(AuditTest, NamesADeletedEntry) {  // A52
  ledger_.entries.erase(ledger_.entries.begin() + 555);
  ExpectFinding(ErrorCode::kLedgerEntryMismatch, 555, 555);
}

TEST_F(AuditTest, NamesTheFirstEntryOfATruncatedEnd) {  // A52
  ledger_.entries.resize(750);
  ExpectFinding(ErrorCode::kLedgerTruncated, 750, 899);
  ledger_.entries.clear();
  ExpectFinding(ErrorCode::kLedgerTruncated, 0, 899);
}

TEST_F(AuditTest, NamesATruncationThatTookTheTilesToo) {  // A52
  ledger_.entries.resize(512);
  ledger_.tiles.tiles.erase({0, 2});
  ledger_.tiles.tiles.erase({0, 3});
  ExpectFinding(ErrorCode::kLedgerTruncated, 512, 899);
}

// A52: whoever edits an entry may edit its stored hash. The signed heads on
// either side narrow it down.
TEST_F(AuditTest, BoundsAnEditThatChangedTheStoredLeafToo) {
  ledger_.entries[411].push_back('!');
  ChangeStoredLeaf(411);
  ExpectFinding(ErrorCode::kLedgerEntryMismatch, 300, 599);
}

// A52: an entry and its hash below, and a decoy above.
TEST_F(AuditTest, IsNotLedAstrayByALaterDifference) {
  ledger_.entries[411].push_back('!');
  ChangeStoredLeaf(411);
  ledger_.entries[412].push_back('!');
  ExpectFinding(ErrorCode::kLedgerEntryMismatch, 300, 599);
}

TEST_F(AuditTest, NamesAStoredLeafThatWasChangedAlone) {
  ledger_.tiles.tiles[{0, 1}][0] ^= 1;
  ExpectFinding(ErrorCode::kLedgerEntryMismatch, 256, 256);
}

// A52: rewritten from 450 on, tiles and all; the old heads were kept.
TEST_F(AuditTest, BoundsAForkBetweenTheHeadsThatContradictEachOther) {
  MemoryLedger fork;
  fork.Append(450);
  fork.Append(450, "another ");
  ledger_ = fork;
  evidence_.checkpoints[2] = fork.Checkpoint(key_);
  ExpectFinding(ErrorCode::kLedgerFork, 300, 599);
}

// A52: two signed heads of one size.
TEST_F(AuditTest, NamesAForkByTwoHeadsOfOneSize) {
  MemoryLedger fork;
  fork.Append(700);
  fork.Append(200, "another ");
  evidence_.checkpoints.push_back(fork.Checkpoint(key_));
  ExpectFinding(ErrorCode::kLedgerFork, 600, 899);
}

// A52: only the new head is shown, but someone kept an old one.
TEST_F(AuditTest, NamesAForkFromAHeadThatWasKept) {
  MemoryLedger fork;
  fork.Append(900, "another ");
  ledger_ = fork;
  evidence_ = {{fork.Checkpoint(key_)}, heads_[0]};
  ExpectFinding(ErrorCode::kLedgerFork, 0, 299);
}

// A52: an old signed head is passed off as the newest.
TEST_F(AuditTest, NamesAnOldHead) {
  evidence_.checkpoints.pop_back();
  evidence_.kept_head = heads_[2];
  ExpectFinding(ErrorCode::kLedgerRolledBack, 600, 899);
}

TEST_F(AuditTest, RefusesCheckpointsThatAreNotOfThisLog) {
  const auto stranger = LedgerKey::Generate("log.example").value();
  evidence_.checkpoints.push_back(ledger_.Checkpoint(stranger));
  EXPECT_EQ(Audit().finding->code, ErrorCode::kCheckpointInvalid);
  evidence_.checkpoints.clear();
  EXPECT_EQ(Audit().finding->code, ErrorCode::kCheckpointInvalid);
}

TEST_F(AuditTest, IsAnErrorOnlyWhereReadingFails) {
  ledger_.tiles.tiles.erase({0, 1});
  const auto audit =
      VerifyLedger(ledger_, ledger_.tiles, key_.verifier(), evidence_);
  ASSERT_FALSE(audit);
  EXPECT_EQ(audit.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace countersign::ledger
