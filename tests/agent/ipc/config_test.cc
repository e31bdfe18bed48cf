#include "agent/ipc/config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

Result<AgentConfig> Parse(std::string_view text) {
  return ParseAgentConfig(text, "agent.json");
}

std::string DetailOf(std::string_view text) {
  const auto config = Parse(text);
  return config.has_value() ? "accepted" : config.error().detail;
}

TEST(ConfigTest, EmptyObjectMeansTheDefaults) {
  const auto config = Parse("{}");
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->socket, "/run/countersign/agent.sock");
  EXPECT_EQ(config->limits.max_batch, 2048u);
  EXPECT_FALSE(config->session.tpm_key);
  EXPECT_TRUE(config->warnings.empty());
}

TEST(ConfigTest, ReadsEveryKey) {
  const auto config = Parse(R"({
    "service": {"url": "https://a.example", "ca_file": "/ca",
                "jwks_file": "/jwks", "proxy": "none"},
    "tpm": {"tcti": "swtpm:path=/s", "event_log": "/log"},
    "state_dir": "/state", "socket": "/a", "uplink_socket": "/u",
    "uplink_user": "nobody", "relays": ["/r1", "/r2"],
    "session": {"key": "tpm", "lifetime_s": 600, "open_timeout_ms": 1000},
    "limits": {"outstanding_per_peer": 1, "outstanding_total": 2,
               "connections": 8, "max_batch": 4}})");
  ASSERT_TRUE(config.has_value()) << config.error().detail;
  EXPECT_TRUE(config->warnings.empty());
  EXPECT_EQ(config->service.url, "https://a.example");
  EXPECT_EQ(config->service.proxy, "none");
  EXPECT_EQ(config->tpm.tcti, "swtpm:path=/s");
  EXPECT_EQ(config->relays, (std::vector<std::string>{"/r1", "/r2"}));
  EXPECT_TRUE(config->relays_set);
  EXPECT_TRUE(config->session.tpm_key);
  EXPECT_EQ(config->session.lifetime_s, 600u);
  EXPECT_EQ(config->limits.outstanding_total, 2u);
  EXPECT_EQ(config->limits.max_batch, 4u);
}

// A50
TEST(ConfigTest, WarnsOfAnUnknownKeyWithTheNearestName) {
  const auto config = Parse("{\n\"limits\": {\n\"max_bach\": 3}}");
  ASSERT_TRUE(config.has_value());
  ASSERT_EQ(config->warnings.size(), 1u);
  EXPECT_EQ(config->warnings[0],
            "agent.json:3: unknown key \"max_bach\"; did you mean "
            "\"max_batch\"?");
}

// A50
TEST(ConfigTest, RejectsAWrongTypeAndNamesTheLine) {
  EXPECT_EQ(DetailOf("{\n\n\"socket\": 3}"),
            "agent.json:3: \"socket\" must be a string");
  EXPECT_EQ(DetailOf("{\"limits\": {\"max_batch\": 2049}}"),
            "agent.json:1: \"max_batch\" must be a whole number from 1 to "
            "2048");
  EXPECT_EQ(DetailOf("{\"limits\": 3}"),
            "agent.json:1: \"limits\" must be an object");
  EXPECT_EQ(DetailOf("{\"session\": {\"key\": \"disk\"}}"),
            "agent.json:1: \"key\" must be \"memory\" or \"tpm\"");
  EXPECT_EQ(DetailOf("{\"state_dir\": \"relative\"}"),
            "agent.json:1: \"state_dir\" must be an absolute path");
  EXPECT_EQ(DetailOf("{\"relays\": [3]}"),
            "agent.json:1: \"relays\" must hold absolute paths only");
}

// A50
TEST(ConfigTest, RejectsWhatIsNotJson) {
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{"),
        std::string("\xef\xbb\xbf{}"), std::string("\xff\xfe{\0}\0", 6),
        std::string(R"({"socket":"/a","socket":"/b"})"),
        std::string(kMaxConfigSize + 1, ' ')}) {
    EXPECT_TRUE(FailsWith(Parse(text), ErrorCode::kConfigInvalid))
        << text.substr(0, 20);
  }
  EXPECT_EQ(DetailOf("{\n\"socket\": tru}").substr(0, 13), "agent.json:2:");
}

class ConfigFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/countersign-config-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/agent.json";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& text) { std::ofstream(path_) << text; }

  std::string folder_;
  std::string path_;
};

TEST_F(ConfigFileTest, ReadsAFile) {
  Write(R"({"socket": "/x"})");
  const auto config = LoadAgentConfig(path_, true);
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->socket, "/x");
  EXPECT_EQ(config->source, path_);
}

TEST_F(ConfigFileTest, MissingFileMeansTheDefaultsUnlessItWasNamed) {
  EXPECT_TRUE(LoadAgentConfig(path_, false).has_value());
  EXPECT_TRUE(FailsWith(LoadAgentConfig(path_, true), ErrorCode::kNotFound));
}

// A46
TEST_F(ConfigFileTest, RejectsALinkAFifoAndAFileThatOthersMayWrite) {
  Write("{}");
  ASSERT_EQ(::symlink(path_.c_str(), (folder_ + "/link").c_str()), 0);
  EXPECT_TRUE(FailsWith(LoadAgentConfig(folder_ + "/link", true),
                        ErrorCode::kUnsafePath));
  ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(FailsWith(LoadAgentConfig(folder_ + "/fifo", true),
                        ErrorCode::kUnsafePath));
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  const auto writable = LoadAgentConfig(path_, true);
  ASSERT_TRUE(FailsWith(writable, ErrorCode::kUnsafePath));
  EXPECT_NE(writable.error().detail.find(path_), std::string::npos);
  EXPECT_NE(writable.error().detail.find("chmod go-w"), std::string::npos);
}

// A46
TEST_F(ConfigFileTest, RejectsAFileOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  Write("{}");
  ASSERT_EQ(::chown(path_.c_str(), 65534, 65534), 0);
  EXPECT_TRUE(FailsWith(LoadAgentConfig(path_, true), ErrorCode::kUnsafePath));
}

}  // namespace
}  // namespace countersign::agent
