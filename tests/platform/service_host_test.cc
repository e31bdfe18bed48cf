#include "platform/service_host.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

TEST(ServiceHostTest, DeliversSignalsOnTheLoop) {
  auto host = ServiceHost::Create();
  auto loop = EventLoop::Create();
  ASSERT_TRUE(host && loop);
  std::string order;
  ASSERT_TRUE(Succeeds((*host)->Watch(
      **loop,
      [&] {
        order += "terminate ";
        (*loop)->Stop();
      },
      [&] {
        order += "reload ";
        ::kill(::getpid(), SIGTERM);
      })));
  ::kill(::getpid(), SIGHUP);
  (*loop)->Run();
  EXPECT_EQ(order, "reload terminate ");
  *host = nullptr;  // Before the loop.
}

TEST(ServiceHostTest, TellsTheServiceManager) {
  const TempFolder folder;
  const int manager = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "notify").c_str(),
               sizeof(address.sun_path) - 1);
  ASSERT_EQ(
      ::bind(manager, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  ::setenv("NOTIFY_SOCKET", address.sun_path, 1);
  auto host = ServiceHost::Create();
  ASSERT_TRUE(Succeeds(host));
  (*host)->NotifyReady();
  (*host)->NotifyStatus("serving\nREADY=0");
  (*host)->NotifyStopping();
  ::unsetenv("NOTIFY_SOCKET");
  const auto next = [manager] {
    char text[200] = {};
    const ssize_t size = ::recv(manager, text, sizeof(text), MSG_DONTWAIT);
    return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
  };
  EXPECT_EQ(next(), "READY=1");
  EXPECT_EQ(next(), "STATUS=serving READY=0");
  EXPECT_EQ(next(), "STOPPING=1");
  ::close(manager);
}

TEST(ServiceHostTest, HasNoSocketsWithoutAServiceManager) {
  auto host = ServiceHost::Create();
  ASSERT_TRUE(Succeeds(host));
  EXPECT_FALSE((*host)->TakeSocket("agent").valid());
}

// In a child: passed sockets are numbers 3 and up.
TEST(ServiceHostTest, TakesPassedSocketsByName) {
  ForkedChild service([] {
    auto pair = LocalConnection::Pair();
    ::dup2(pair->first.handle(), 3);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_FDNAMES", "agent", 1);
    auto host = ServiceHost::Create();
    const OwnedHandle other = (*host)->TakeSocket("uplink");
    const OwnedHandle taken = (*host)->TakeSocket("agent");
    const OwnedHandle again = (*host)->TakeSocket("agent");
    ::_exit(!other.valid() && taken.get() == 3 && !again.valid() ? 0 : 1);
  });
  EXPECT_EQ(service.Wait(), 0);
}

}  // namespace
}  // namespace countersign::platform
