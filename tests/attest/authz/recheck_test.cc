// What is committed between the decision over a batch and its own commit: the
// transaction looks again.
#include <gtest/gtest.h>

#include "attest/authz/revocation.h"
#include "attest/authz/session_end.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

// Lets somebody else go first, once.
class StoreWithRival final : public Store {
 public:
  explicit StoreWithRival(Store& store) : store_(store) {}

  Status Read(const ReadWork& work) override { return store_.Read(work); }
  Status Write(const WriteWork& work) override {
    if (const auto first = std::exchange(rival, nullptr)) first();
    return store_.Write(work);
  }

  std::function<void()> rival;

 private:
  Store& store_;
};

class RecheckTest : public testing::Test {
 protected:
  RecheckTest() {
    laptop_.Enroll();
    session_ = laptop_.OpenSession();
  }

  v1::BatchEvidence NewBatch() {
    return laptop_.NewBatch({laptop_.NewAction(session_)});
  }
  void BeginAnotherJournal() {
    laptop_.journal_id = RandomBytes(16);
    laptop_.next_batch = 0;
    laptop_.next_action = 0;
    laptop_.last_batch = {};
  }
  void ExpectAccepted(const v1::BatchEvidence& batch) {
    const auto outcome = rig_.authorizer->Authorize(batch);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().detail;
    EXPECT_FALSE(outcome->refused.has_value());
  }
  // The answer to `batch` if `rival` comes in between.
  Result<BatchOutcome> AuthorizeAfter(const v1::BatchEvidence& batch,
                                      std::function<void()> rival) {
    store_.rival = std::move(rival);
    return authorizer_.Authorize(batch);
  }
  // Refused for `code`, and nothing of it was kept.
  void ExpectRefusedAfter(const v1::BatchEvidence& batch,
                          std::function<void()> rival, ErrorCode code) {
    const auto outcome = AuthorizeAfter(batch, std::move(rival));
    ASSERT_FALSE(store_.rival) << "refused before there was a race";
    if (outcome.has_value()) {
      ASSERT_TRUE(outcome->refused.has_value());
      EXPECT_EQ(outcome->refused->code, code) << outcome->refused->detail;
    } else {
      EXPECT_EQ(outcome.error().code, code) << outcome.error().detail;
    }
    const auto digest = statement::StatementDigest(
        StatementType::kActionBatch, AsBytes(batch.statement().body()));
    EXPECT_FALSE(
        rig_.Look([&](StoreView& view) { return view.FindBatch(digest); })
            .has_value());
  }

  ServiceRig rig_;
  Laptop laptop_{rig_};
  LaptopSession session_;
  StoreWithRival store_{*rig_.store};
  Service service_{rig_.config,  store_,           *rig_.ledger,
                   *rig_.policy, rig_.epochs,      rig_.event_tokens,
                   *rig_.issuer, rig_.service_key, rig_.clock};
  Authorizer authorizer_{service_, *rig_.findings};
};

// A07
TEST_F(RecheckTest, RejectsAClockThatAnotherBatchHasPassed) {
  const auto earlier = NewBatch();
  BeginAnotherJournal();
  const auto later = NewBatch();
  ExpectRefusedAfter(
      earlier, [&] { ExpectAccepted(later); }, ErrorCode::kTpmClockRollback);
  EXPECT_EQ(rig_.LastEntry().kind(), v1::ENTRY_KIND_FINDING);
}

TEST_F(RecheckTest, RejectsAForkOfWhatWasAcceptedMeanwhile) {
  const auto one = NewBatch();
  const auto other = NewBatch();
  ExpectRefusedAfter(
      other, [&] { ExpectAccepted(one); }, ErrorCode::kBatchFork);
}

TEST_F(RecheckTest, RejectsADeviceThatIsRevokedMeanwhile) {
  const auto revoke = [&] {
    ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                             laptop_.device.device_id, "lost")
                    .has_value());
  };
  ExpectRefusedAfter(NewBatch(), revoke, ErrorCode::kDeviceRevoked);
}

TEST_F(RecheckTest, DeniesASessionThatEndsMeanwhile) {
  const auto end = [&] {
    ASSERT_TRUE(rig_.store
                    ->Write([&](StoreTransaction& transaction) {
                      return EndSessions(
                          *rig_.ledger, transaction, laptop_.device.device_id,
                          rig_.clock.NowMs(),
                          [](const SessionRow&) { return kEndExpired; });
                    })
                    .has_value());
  };
  const auto outcome = AuthorizeAfter(NewBatch(), end);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().detail;
  const v1::ActionDecision& decision = outcome->answer.decisions(0);
  EXPECT_EQ(decision.reason(), static_cast<uint32_t>(ErrorCode::kSessionEnded));
  EXPECT_TRUE(decision.grant().empty());
  EXPECT_TRUE(decision.receipt().empty());
}

TEST_F(RecheckTest, NotesANewJournalBesideOneThatBeginsMeanwhile) {
  const auto one = NewBatch();
  BeginAnotherJournal();
  const auto other = NewBatch();
  const auto outcome = AuthorizeAfter(other, [&] { ExpectAccepted(one); });
  ASSERT_TRUE(outcome.has_value()) << outcome.error().detail;
  const uint64_t index = outcome->answer.decisions(0).ledger_index();
  EXPECT_EQ(rig_.Ledger()[index - 1].kind(), v1::ENTRY_KIND_FINDING);
}

}  // namespace
}  // namespace countersign::authz
