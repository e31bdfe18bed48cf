// The real program: how it starts, waits, reloads and ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "platform/child_process.h"
#include "platform/local_socket.h"

namespace countersign::agent {
namespace {

using platform::HeldChild;
using platform::LocalConnection;
using platform::LocalListener;
using std::chrono::milliseconds;

class UplinkProgramTest : public ::testing::Test {
 protected:
  UplinkProgramTest() {
    std::string pattern = "/tmp/countersign-uplink-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~UplinkProgramTest() override { std::filesystem::remove_all(folder_); }

  void Configure(const std::string& text) {
    std::ofstream(folder_ + "/agent.json") << text;
    std::filesystem::permissions(folder_ + "/agent.json",
                                 std::filesystem::perms(0600));
  }
  HeldChild Start(std::vector<std::string> more = {}) {
    std::vector<std::string> argv{std::string(getenv("COUNTERSIGN_BIN")) +
                                  "/countersign-uplink"};
    argv.insert(argv.end(), more.begin(), more.end());
    auto child = HeldChild::Spawn(argv);
    EXPECT_TRUE(child->Release({}).has_value());
    child->Continue();
    return *std::move(child);
  }
  HeldChild StartWith(const std::string& socket) {
    return Start(
        {"--config", folder_ + "/agent.json", "--socket", folder_ + socket});
  }
  std::optional<LocalConnection> Accept(LocalListener& listener) {
    for (int i = 0; i < 500; ++i) {
      auto accepted = listener.Accept();
      if (accepted.has_value() && accepted->has_value()) {
        return **std::move(accepted);
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
    return std::nullopt;
  }

  std::string folder_;
};

// How often the threads of `pid` have gone to sleep or been put aside.
uint64_t Switches(uint32_t pid) {
  uint64_t sum = 0;
  for (const auto& task : std::filesystem::directory_iterator(
           "/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      const size_t at = line.find("ctxt_switches:");
      if (at != std::string::npos) sum += std::stoull(line.substr(at + 14));
    }
  }
  return sum;
}

TEST_F(UplinkProgramTest, SleepsWhileThereIsNothingToCarry) {
  Configure("{}");
  auto listener = LocalListener::Listen(folder_ + "/u.sock", 0600);
  HeldChild uplink = StartWith("/u.sock");
  const auto connection = Accept(*listener);
  ASSERT_TRUE(connection.has_value());
  // Its start may take a while on a busy machine.
  bool asleep = false;
  for (int i = 0; i < 10 && !asleep; ++i) {
    const uint64_t before = Switches(uplink.pid());
    std::this_thread::sleep_for(milliseconds(1500));
    asleep = Switches(uplink.pid()) == before;
  }
  EXPECT_TRUE(asleep);
  uplink.Signal(SIGTERM);
  EXPECT_EQ(uplink.Wait().value(), 0);
}

TEST_F(UplinkProgramTest, EndsOnSigtermWhileTheDaemonIsAway) {  // F37
  Configure("{}");
  HeldChild uplink = StartWith("/none.sock");
  std::this_thread::sleep_for(milliseconds(200));
  uplink.Signal(SIGTERM);
  EXPECT_EQ(uplink.Wait().value(), 0);
}

TEST_F(UplinkProgramTest, KeepsTheLastGoodConfiguration) {  // F29, A50
  Configure("{}");
  auto listener = LocalListener::Listen(folder_ + "/u.sock", 0600);
  HeldChild uplink = StartWith("/u.sock");
  auto connection = Accept(*listener);
  ASSERT_TRUE(connection.has_value());
  Configure("{ not JSON");
  uplink.Signal(SIGHUP);
  EXPECT_FALSE(connection->WaitReadable(milliseconds(300)).has_value());
  // A good file keeps the connection too: only its settings change.
  Configure("{\"service\": {\"proxy\": \"none\"}}");
  uplink.Signal(SIGHUP);
  EXPECT_FALSE(connection->WaitReadable(milliseconds(300)).has_value());
  uplink.Signal(SIGTERM);
  EXPECT_EQ(uplink.Wait().value(), 0);
}

TEST_F(UplinkProgramTest, MovesToAnotherSocket) {
  const auto configure = [this](const std::string& socket) {
    Configure(R"({"uplink_socket": ")" + folder_ + socket + "\"}");
  };
  configure("/a.sock");
  auto first = LocalListener::Listen(folder_ + "/a.sock", 0600);
  auto second = LocalListener::Listen(folder_ + "/b.sock", 0600);
  HeldChild uplink = Start({"--config", folder_ + "/agent.json"});
  ASSERT_TRUE(Accept(*first).has_value());
  configure("/b.sock");
  uplink.Signal(SIGHUP);
  EXPECT_TRUE(Accept(*second).has_value());
  uplink.Signal(SIGTERM);
  EXPECT_EQ(uplink.Wait().value(), 0);
}

TEST_F(UplinkProgramTest, RefusesABadConfigurationAtTheStart) {
  Configure("{\"service\": 7}");
  EXPECT_EQ(StartWith("/u.sock").Wait().value(), 2);
}

TEST_F(UplinkProgramTest, RefusesACaFileThatIsNotThere) {
  Configure("{\"service\": {\"ca_file\": \"" + folder_ + "/none.pem\"}}");
  EXPECT_EQ(StartWith("/u.sock").Wait().value(), 2);
}

TEST_F(UplinkProgramTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Start({"--no-such-flag"}).Wait().value(), 2);
  EXPECT_EQ(Start({"word"}).Wait().value(), 2);
  EXPECT_EQ(Start({"--version"}).Wait().value(), 0);
}

}  // namespace
}  // namespace countersign::agent
