#include "platform/login_session.h"

#include "tests/platform/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

TEST(LoginSessionTest, SaysThatAServiceHasNoSession) {
  ForkedChild service([] {
    while (true) ::pause();
  });
  // Out of any session: the user of no one who ever logs in.
  const auto session =
      FindLoginSession(static_cast<uint32_t>(service.pid()), 54321);
  ASSERT_TRUE(Succeeds(session));
  EXPECT_EQ(session->uid, 54321u);
  EXPECT_EQ(session->id, "");
  EXPECT_FALSE(session->by_process);
  EXPECT_EQ(session->seat, "");
  EXPECT_FALSE(session->start.has_value());
  EXPECT_FALSE(session->locked.has_value());
}

TEST(LoginSessionTest, RejectsProcessThatHasExited) {
  ForkedChild gone([] {});
  const auto pid = static_cast<uint32_t>(gone.pid());
  ASSERT_EQ(gone.Wait(), 0);
  EXPECT_TRUE(FailsWith(FindLoginSession(pid, 0), ErrorCode::kPeerGone));
}

}  // namespace
}  // namespace countersign::platform
