#include "agent/daemon/approvals.h"

#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

const Sha256Digest kRequest = {1};
const Sha256Digest kOther = {2};

TEST(ApprovalsTest, IsUsedOnceByTheRequestThatItIsFor) {
  Approvals approvals;
  approvals.Asked("s", kRequest, 0);
  EXPECT_FALSE(approvals.Use("s", kRequest, 1));  // Not given yet.
  ASSERT_TRUE(Succeeds(approvals.Approve("s", kRequest, 2)));
  EXPECT_FALSE(approvals.Use("s", kOther, 3));
  EXPECT_FALSE(approvals.Use("t", kRequest, 3));
  EXPECT_TRUE(approvals.Use("s", kRequest, 3));
  EXPECT_FALSE(approvals.Use("s", kRequest, 4));
}

TEST(ApprovalsTest, RejectsWhatNobodyAskedFor) {
  Approvals approvals;
  approvals.Asked("s", kRequest, 0);
  EXPECT_TRUE(
      FailsWith(approvals.Approve("s", kOther, 1), ErrorCode::kNotFound));
  EXPECT_TRUE(
      FailsWith(approvals.Approve("t", kRequest, 1), ErrorCode::kNotFound));
}

TEST(ApprovalsTest, RejectsWhatWasAskedTooLongAgo) {
  Approvals approvals;
  approvals.Asked("s", kRequest, 0);
  EXPECT_TRUE(FailsWith(approvals.Approve("s", kRequest, Approvals::kWaitMs),
                        ErrorCode::kNotFound));
}

TEST(ApprovalsTest, AnApprovalThatIsNotUsedInTimeIsGone) {
  Approvals approvals;
  approvals.Asked("s", kRequest, 0);
  ASSERT_TRUE(Succeeds(approvals.Approve("s", kRequest, 1)));
  EXPECT_FALSE(approvals.Use("s", kRequest, Approvals::kWaitMs));
}

TEST(ApprovalsTest, ARequestThatIsAskedAgainWaitsAnewAndUnapproved) {
  Approvals approvals;
  approvals.Asked("s", kRequest, 0);
  ASSERT_TRUE(Succeeds(approvals.Approve("s", kRequest, 1)));
  approvals.Asked("s", kRequest, 1000);
  EXPECT_FALSE(approvals.Use("s", kRequest, 1001));
  EXPECT_TRUE(
      Succeeds(approvals.Approve("s", kRequest, Approvals::kWaitMs + 500)));
}

TEST(ApprovalsTest, TheOldestMakesRoom) {
  Approvals approvals;
  approvals.Asked("s", kRequest, 0);
  for (size_t i = 0; i < Approvals::kMaxWaiting; ++i) {
    approvals.Asked(std::to_string(i), kRequest, 1);
  }
  EXPECT_TRUE(
      FailsWith(approvals.Approve("s", kRequest, 2), ErrorCode::kNotFound));
  EXPECT_TRUE(Succeeds(approvals.Approve("0", kRequest, 2)));
}

}  // namespace
}  // namespace countersign::agent
