#include "agent/cli/suggest.h"

#include <gtest/gtest.h>

namespace countersign::agent {
namespace {

TEST(NearestNameTest, FindsTheLikelySlip) {
  const std::vector<std::string> names{"status", "session", "authorize", "run"};
  EXPECT_EQ(NearestName("statsu", names), "status");
  EXPECT_EQ(NearestName("authorise", names), "authorize");
  EXPECT_EQ(NearestName("sesion", names), "session");
  EXPECT_EQ(NearestName("rnu", names), "run");
}

TEST(NearestNameTest, SuggestsNothingForAnotherWord) {
  const std::vector<std::string> names{"status", "run"};
  EXPECT_EQ(NearestName("frobnicate", names), "");
  EXPECT_EQ(NearestName("", names), "");
  EXPECT_EQ(NearestName(std::string(10'000, 'x'), names), "");
}

}  // namespace
}  // namespace countersign::agent
