#include "platform/login_session.h"

#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "tests/fails_with.h"
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

// libsystemd reads what logind leaves in /run and the process's cgroup. In a
// mount namespace of its own, a child sees ones of our making.
class LogindTest : public testing::Test {
 protected:
  // Runs `check` where the child's cgroup is `cgroup`, session 77 is user
  // 1000's on seat0, and user 1000 sits at it. Says whether all held.
  void InSession(const std::string& cgroup,
                 const std::function<bool(uint32_t pid)>& check) {
    const TempFolder folder;
    ForkedChild child([&] {
      ::_exit(!Arrange(folder, cgroup)                   ? 77
              : check(static_cast<uint32_t>(::getpid())) ? 0
                                                         : 1);
    });
    const int code = child.Wait();
    if (code == 77) GTEST_SKIP() << "needs root";
    EXPECT_EQ(code, 0);
  }

 private:
  static bool Arrange(const TempFolder& folder, const std::string& cgroup) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/run", "tmpfs", 0, nullptr) != 0) {
      return false;
    }
    std::filesystem::create_directories("/run/systemd/sessions");
    std::filesystem::create_directories("/run/systemd/users");
    std::ofstream("/run/systemd/sessions/77")
        << "UID=1000\nUSER=u\nACTIVE=1\nSTATE=active\nREMOTE=0\n"
           "TYPE=wayland\nCLASS=user\nSEAT=seat0\n";
    std::ofstream("/run/systemd/users/1000")
        << "NAME=u\nSTATE=active\nDISPLAY=77\nSESSIONS=77\n";
    std::ofstream(folder / "cgroup")
        << "1:name=systemd:" << cgroup << "\n0::" << cgroup << "\n";
    const std::string target =
        "/proc/" + std::to_string(::getpid()) + "/cgroup";
    return ::mount((folder / "cgroup").c_str(), target.c_str(), nullptr,
                   MS_BIND, nullptr) == 0;
  }
};

TEST_F(LogindTest, FindsTheSessionOfTheProcess) {
  InSession("/user.slice/user-1000.slice/session-77.scope", [](uint32_t pid) {
    const auto session = FindLoginSession(pid, 1000);
    return session.has_value() && session->id == "77" && session->by_process &&
           session->seat == "seat0" && session->type == "wayland" &&
           session->active && !session->remote;
  });
}

// Desktops start programs through the user's own service manager.
TEST_F(LogindTest, FindsTheSessionThatTheUserSitsAt) {
  InSession("/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope",
            [](uint32_t pid) {
              const auto session = FindLoginSession(pid, 1000);
              return session.has_value() && session->id == "77" &&
                     !session->by_process;
            });
}

// su and sudo: the process is in a session, but of somebody else.
TEST_F(LogindTest, TakesNoSessionOfAnotherUser) {
  InSession("/user.slice/user-1000.slice/session-77.scope", [](uint32_t pid) {
    const auto session = FindLoginSession(pid, 0);
    return session.has_value() && session->id.empty() && session->uid == 0 &&
           session->seat.empty();
  });
}

}  // namespace
}  // namespace countersign::platform
