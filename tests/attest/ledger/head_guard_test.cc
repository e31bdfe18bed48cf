#include "attest/ledger/head_guard.h"

#include <gtest/gtest.h>

#include "tests/attest/ledger/memory_ledger.h"

namespace countersign::ledger {
namespace {

class HeadGuardTest : public testing::Test {
 protected:
  Result<std::string> Extend() {
    return ExtendHead(Tree(ledger_.tiles, ledger_.head.size), key_, guard_);
  }
  ErrorCode ExtendCode() {
    const auto note = Extend();
    return note ? ErrorCode{} : note.error().code;
  }

  LedgerKey key_ = LedgerKey::Generate("log.example").value();
  MemoryGuard guard_;
  MemoryLedger ledger_;
};

TEST_F(HeadGuardTest, SignsEachExtensionAndRemembersIt) {
  for (size_t step : {0, 1, 5, 250, 0, 600}) {
    ledger_.Append(step);
    const auto note = Extend();
    ASSERT_TRUE(note) << note.error().detail;
    const auto checkpoint = OpenCheckpoint(*note, key_.verifier());
    ASSERT_TRUE(checkpoint);
    EXPECT_EQ(checkpoint->head, ledger_.head);
    EXPECT_EQ(checkpoint->origin, "log.example");
    EXPECT_EQ(guard_.head, ledger_.head);
  }
}

// A52: a database restored from an old backup.
TEST_F(HeadGuardTest, RefusesToSignAShorterLedger) {
  ledger_.Append(10);
  const MemoryLedger backup = ledger_;
  ledger_.Append(10);
  ASSERT_TRUE(Extend());
  const auto remembered = guard_.head;
  ledger_ = backup;
  EXPECT_EQ(ExtendCode(), ErrorCode::kLedgerRolledBack);
  EXPECT_EQ(guard_.head, remembered);
}

// A52: restored from a backup, and grown past the head in another way.
TEST_F(HeadGuardTest, RefusesToSignAForkThatIsLonger) {
  ledger_.Append(10);
  const MemoryLedger backup = ledger_;
  ledger_.Append(10);
  ASSERT_TRUE(Extend());
  ledger_ = backup;
  ledger_.Append(400, "another ");
  EXPECT_EQ(ExtendCode(), ErrorCode::kLedgerFork);
}

// A52
TEST_F(HeadGuardTest, RefusesToSignAForkOfTheSameSize) {
  ledger_.Append(10);
  const MemoryLedger backup = ledger_;
  ledger_.Append(10);
  ASSERT_TRUE(Extend());
  ledger_ = backup;
  ledger_.Append(10, "another ");
  EXPECT_EQ(ExtendCode(), ErrorCode::kLedgerFork);
}

// The upper tile says something else than the leaves below it.
TEST_F(HeadGuardTest, RefusesTilesThatContradictEachOther) {
  ledger_.Append(100);
  ASSERT_TRUE(Extend());
  ledger_.Append(400);
  ledger_.tiles.tiles[{1, 0}][0] ^= 1;
  EXPECT_EQ(ExtendCode(), ErrorCode::kLedgerFork);
}

TEST_F(HeadGuardTest, DoesNotTakeAnUnreadableMemoryForNone) {
  ledger_.Append(3);
  guard_.broken = true;
  EXPECT_EQ(ExtendCode(), ErrorCode::kIoError);
}

TEST_F(HeadGuardTest, DoesNotSignWhatItCannotRemember) {
  ledger_.Append(3);
  guard_.full = true;
  EXPECT_EQ(ExtendCode(), ErrorCode::kDiskFull);
}

}  // namespace
}  // namespace countersign::ledger
