#include "agent/daemon/pause.h"

#include <gtest/gtest.h>

#include <set>

namespace countersign::agent {
namespace {

class StillClock final : public Clock {
 public:
  int64_t NowMs() const override { return now; }
  int64_t MonotonicMs() const override { return now; }
  int64_t now = 1'000'000;
};

const Error kWhy{ErrorCode::kServiceUnreachable, "why"};

// F22
TEST(PauseTest, GrowsWithJitterAndHasAnEnd) {
  StillClock clock;
  Pause pause(clock);
  int64_t longest = 0;
  for (int i = 0; i < 30; ++i) {
    pause.Begin(kWhy, 0);
    const int64_t full =
        std::min(Pause::kFirstMs << std::min(i, 20), Pause::kLastMs);
    EXPECT_GE(pause.left_ms(), full / 2);
    EXPECT_LE(pause.left_ms(), full);
    longest = std::max(longest, pause.left_ms());
  }
  EXPECT_LE(longest, Pause::kLastMs);
  EXPECT_GT(longest, Pause::kLastMs / 2);
}

// F22
TEST(PauseTest, AThousandAgentsDoNotReturnAsOne) {
  StillClock clock;
  std::set<int64_t> different;
  for (int i = 0; i < 1000; ++i) {
    Pause pause(clock);
    for (int failures = 0; failures < 12; ++failures) pause.Begin(kWhy, 0);
    different.insert(pause.left_ms() / 1000);
  }
  EXPECT_GT(different.size(), 100u);
}

TEST(PauseTest, ARequestMayShortenOurOwnWait) {
  StillClock clock;
  Pause pause(clock);
  for (int i = 0; i < 12; ++i) pause.Begin(kWhy, 0);
  EXPECT_NE(pause.blocks_requests(), nullptr);
  clock.now += Pause::kBetweenRequestsMs;
  EXPECT_EQ(pause.blocks_requests(), nullptr);
  EXPECT_NE(pause.active(), nullptr);
  EXPECT_TRUE(pause.Cut());
  EXPECT_EQ(pause.active(), nullptr);
}

TEST(PauseTest, NothingShortensTheServicesWait) {
  StillClock clock;
  Pause pause(clock);
  pause.Begin(kWhy, 60);
  clock.now += 59'000;
  EXPECT_FALSE(pause.Cut());
  EXPECT_EQ(pause.blocks_requests()->detail, "why");
  clock.now += 1'000;
  EXPECT_EQ(pause.blocks_requests(), nullptr);
  EXPECT_TRUE(pause.Cut());
}

TEST(PauseTest, BeginsAnewAfterASuccess) {
  StillClock clock;
  Pause pause(clock);
  for (int i = 0; i < 12; ++i) pause.Begin(kWhy, 0);
  pause.Clear();
  EXPECT_EQ(pause.active(), nullptr);
  pause.Begin(kWhy, 0);
  EXPECT_LE(pause.left_ms(), Pause::kFirstMs);
}

}  // namespace
}  // namespace countersign::agent
