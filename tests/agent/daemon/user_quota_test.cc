#include "agent/daemon/user_quota.h"

#include <gtest/gtest.h>

namespace countersign::agent {
namespace {

// A49
TEST(UserQuotaTest, LeavesTheLastQuarterToOtherUsers) {
  UserQuota quota;
  for (int i = 0; i < 24; ++i) {
    EXPECT_TRUE(quota.Fits(1000, 32));
    quota.Take(1000);
  }
  EXPECT_FALSE(quota.Fits(1000, 32));
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(quota.Fits(1001, 32));
    quota.Take(1001);
  }
  EXPECT_FALSE(quota.Fits(1001, 32));
  EXPECT_FALSE(quota.Fits(1002, 32));
  quota.Give(1000);
  EXPECT_TRUE(quota.Fits(1002, 32));
  EXPECT_EQ(quota.taken(), 31u);
}

TEST(UserQuotaTest, GivesALoneUserTheOnlyOne) {
  UserQuota quota;
  EXPECT_TRUE(quota.Fits(1000, 1));
  quota.Take(1000);
  EXPECT_FALSE(quota.Fits(1000, 1));
}

}  // namespace
}  // namespace countersign::agent
