#include "agent/daemon/session_registry.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/agent/loop_thread.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

platform::PinnedPeer Self() {
  return *platform::PinnedPeer::FromProcess(platform::OwnedHandle(
      static_cast<platform::Handle>(::syscall(SYS_pidfd_open, ::getpid(), 0))));
}

class SessionRegistryTest : public testing::Test {
 protected:
  SessionRegistryTest() {
    loop_.Sync([this] { registry_.emplace(loop_.loop(), clock_); });
  }
  ~SessionRegistryTest() override {
    loop_.Sync([this] { registry_.reset(); });
  }

  SessionPtr Open() {
    const auto session = registry_->Create({}, Self(), OwnerIs::kAlone);
    EXPECT_TRUE(Succeeds(session));
    registry_->Open(*session, 8 * 3600 * 1000);
    return *session;
  }

  SystemClock clock_;
  LoopThread loop_;
  std::optional<SessionRegistry> registry_;
};

// A49: who opens and closes sessions all day leaves nothing behind.
TEST_F(SessionRegistryTest, ForgetsTheDeadlineOfASessionThatEnded) {
  loop_.Sync([this] {
    for (int i = 0; i < 100; ++i) registry_->End(Open(), "client_closed");
    EXPECT_EQ(registry_->size(), 0u);
    EXPECT_EQ(registry_->deadlines(), 0u);
  });
}

TEST_F(SessionRegistryTest, KeepsOneDeadlineOfASessionThatWasReserved) {
  loop_.Sync([this] {
    const platform::PinnedPeer self = Self();
    const auto reserved = registry_->Reserve({}, self);
    ASSERT_TRUE(Succeeds(reserved));
    EXPECT_EQ(registry_->deadlines(), 1u);
    const auto bound =
        registry_->BindReserved((*reserved)->id, self, Self(), OwnerIs::kAlone);
    ASSERT_TRUE(Succeeds(bound));
    EXPECT_EQ(registry_->deadlines(), 0u);
    registry_->Open(*bound, 1000);
    EXPECT_EQ(registry_->deadlines(), 1u);
  });
}

TEST_F(SessionRegistryTest, BoundsTheSessionsOfOneUser) {  // A49
  loop_.Sync([this] {
    const platform::PinnedPeer self = Self();
    for (size_t i = 0; i < SessionRegistry::kMaxSessionsPerUid; ++i) {
      ASSERT_TRUE(Succeeds(registry_->Reserve({}, self)));
    }
    EXPECT_TRUE(FailsWith(registry_->Reserve({}, self), ErrorCode::kBusy));
    EXPECT_TRUE(FailsWith(registry_->CheckRoom(self.uid()), ErrorCode::kBusy));
    EXPECT_TRUE(Succeeds(registry_->CheckRoom(self.uid() + 1)));
  });
}

}  // namespace
}  // namespace countersign::agent
