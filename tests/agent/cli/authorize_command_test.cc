// countersign authorize: what it asks, and where its answer goes.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <nlohmann/json.hpp>

#include "attest/base/digest.h"
#include "tests/agent/cli/command_line.h"

namespace countersign::agent {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result<v1::Response> Permit(const v1::Request& request) {
  v1::Response response;
  v1::AuthorizeResponse& answer = *response.mutable_authorize();
  answer.set_decision("permit");
  answer.set_sequence(7);
  answer.set_ledger_index(9);
  answer.set_action_digest(std::string(32, '\x01'));
  answer.set_grant("grant.token");
  answer.set_receipt("receipt.token");
  if (request.authorize().want_bundle()) answer.set_bundle("bundle");
  return response;
}

class AuthorizeCommandTest : public CommandLineTest {
 protected:
  Ran Authorize(const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"authorize", "--session", kSession,
                                       "--name",    "a:b",       "--resource",
                                       "x:y",       "--purpose", "test"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Cli(arguments);
  }
};

TEST_F(AuthorizeCommandTest, BindsTheRequestAndWritesPrivateFiles) {
  Answer(Permit);
  const Ran ran = Cli({"authorize",
                       "--session",
                       kSession,
                       "--name",
                       "http:POST",
                       "--resource",
                       "https://api.example/1",
                       "--purpose",
                       "test",
                       "--audience",
                       "https://api.example",
                       "--request-file",
                       "-",
                       "--bundle-out",
                       folder_ + "/b",
                       "--grant-out",
                       folder_ + "/g",
                       "--receipt-out",
                       folder_ + "/r",
                       "--json"},
                      "the body");
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  const v1::AuthorizeRequest asked = daemon_->asked().at(0).request.authorize();
  EXPECT_EQ(asked.session_id(), SessionBytes());
  EXPECT_EQ(asked.request_sha256(), AsString(Sha256(AsBytes("the body"))));
  EXPECT_EQ(asked.grant_audience(), "https://api.example");
  EXPECT_TRUE(asked.want_bundle());
  const json answer = json::parse(ran.out);
  EXPECT_EQ(answer.at("decision"), "permit");
  EXPECT_EQ(answer.at("reason"), nullptr);
  EXPECT_EQ(answer.at("ledger_index"), 9);
  EXPECT_EQ(answer.at("action_digest").get<std::string>().substr(0, 4), "0101");
  EXPECT_EQ(Slurp(folder_ + "/b"), "bundle");
  EXPECT_EQ(Slurp(folder_ + "/g"), "grant.token");
  EXPECT_EQ(Slurp(folder_ + "/r"), "receipt.token");
  for (const char* name : {"/b", "/g", "/r"}) {
    struct stat found {};
    ASSERT_EQ(stat((folder_ + name).c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0600u) << name;
  }
}

TEST_F(AuthorizeCommandTest, PutsATokenAloneOnStdout) {
  Answer(Permit);
  const Ran ran = RunCli(
      {"authorize", "--name", "a:b", "--resource", "x:y", "--purpose", "test",
       "--audience", "https://a", "--grant-out", "-"},
      {{"COUNTERSIGN_SOCKET", socket_}, {"COUNTERSIGN_SESSION", kSession}});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, "grant.token");
  EXPECT_THAT(ran.err, HasSubstr("permit"));
}

TEST_F(AuthorizeCommandTest, WritesNothingButRegularFiles) {
  Answer(Permit);
  std::ofstream(folder_ + "/victim") << "mine";
  std::filesystem::create_symlink(folder_ + "/victim", folder_ + "/link");
  ASSERT_EQ(mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  for (const char* name : {"/link", "/fifo", ""}) {
    const Ran ran = Authorize({"--bundle-out", folder_ + name});
    EXPECT_EQ(ran.exit_code, 2) << name;
    EXPECT_THAT(ran.err, HasSubstr("not a regular file")) << name;
  }
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ + "/link"));
  EXPECT_TRUE(std::filesystem::is_fifo(folder_ + "/fifo"));
  EXPECT_EQ(Slurp(folder_ + "/victim"), "mine");
  EXPECT_THAT(daemon_->asked(), IsEmpty());
}

TEST_F(AuthorizeCommandTest, LeavesADeviceWhatItIs) {
  Answer(Permit);
  const std::string node = folder_ + "/full";
  if (mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 7)) != 0) {
    GTEST_SKIP() << "only root may make devices";
  }
  const Ran ran = Authorize({"--receipt-out", node});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr(node + " is a device"));
  EXPECT_TRUE(std::filesystem::is_character_file(node));
  EXPECT_THAT(daemon_->asked(), IsEmpty());
}

TEST_F(AuthorizeCommandTest, RefusesOutputsBeforeItAsks) {
  Answer(Permit);
  const std::string file = folder_ + "/file";
  struct {
    std::vector<std::string> arguments;
    int exit_code;
    const char* says;
  } const kCases[] = {
      {{"--bundle-out", folder_ + "/none/file"}, 1, "No such file"},
      {{"--bundle-out", "/proc/file"}, 1, "/proc/file"},
      {{"--bundle-out", file, "--receipt-out", folder_}, 2, "is a folder"},
      {{"--grant-out", file}, 2, "--audience"},
      {{"--audience", "a:b", "--grant-out", "-", "--receipt-out", "-"},
       2,
       "both go to '-'"},
      {{"--bundle-out", file, "--receipt-out", folder_ + "/./file"},
       2,
       "both go to"},
  };
  for (const auto& test : kCases) {
    const Ran ran = Authorize(test.arguments);
    EXPECT_EQ(ran.exit_code, test.exit_code) << test.says;
    EXPECT_THAT(ran.err, HasSubstr(test.says));
    EXPECT_THAT(ran.out, IsEmpty()) << test.says;
  }
  const Ran mixed = Authorize({"--receipt-out", "-", "--json"});
  EXPECT_EQ(mixed.exit_code, 2);
  EXPECT_EQ(json::parse(mixed.out).at("error").at("reason"), "usage");
  EXPECT_THAT(daemon_->asked(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(file));
}

// Fills what goes to stdout only after the answer is there.
TEST_F(AuthorizeCommandTest, SaysWhatWasGrantedIfItCannotBeWritten) {
  Answer(Permit);
  const std::string command =
      BinFolder() + "/countersign --socket " + socket_ +
      " authorize --session " + kSession +
      " --name a:b --resource x:y --purpose p --receipt-out - --bundle-out " +
      folder_ + "/b";
  const Ran ran = RunProgram({"sh", "-c", command + " > /dev/full"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("0101010101010101"));
  EXPECT_THAT(ran.err, HasSubstr("entry 9"));
  EXPECT_THAT(ran.err, HasSubstr("error:"));
  EXPECT_EQ(Slurp(folder_ + "/b"), "bundle");
}

TEST_F(AuthorizeCommandTest, GivesTheWholeAnswerAsJsonIfAFileCannotBeWritten) {
  const std::string folder = folder_ + "/gone";
  std::filesystem::create_directory(folder);
  Answer([&](const v1::Request& request) {
    std::filesystem::remove(folder);
    return Permit(request);
  });
  const Ran ran = Authorize({"--bundle-out", folder + "/b", "--receipt-out",
                             folder_ + "/r", "--json"});
  EXPECT_EQ(ran.exit_code, 1);
  const json answer = json::parse(ran.out);
  EXPECT_EQ(answer.at("error").at("reason"), "io_error");
  EXPECT_EQ(answer.at("decision"), "permit");
  EXPECT_EQ(answer.at("ledger_index"), 9);
  EXPECT_EQ(answer.at("receipt"), "receipt.token");
  EXPECT_EQ(Slurp(folder_ + "/r"), "receipt.token");
}

TEST_F(AuthorizeCommandTest, EndsWithTheDecision) {
  struct {
    const char* decision;
    std::optional<ErrorCode> reason;
    int exit_code;
  } const kCases[] = {{"deny", std::nullopt, 10},
                      {"deny", ErrorCode::kPolicyDenied, 10},
                      {"deny", ErrorCode::kSessionEnded, 12},
                      {"approval_required", std::nullopt, 11},
                      {"approval_required", ErrorCode::kApprovalRequired, 11}};
  for (const auto& test : kCases) {
    Answer([&](const v1::Request&) -> Result<v1::Response> {
      v1::Response response;
      response.mutable_authorize()->set_decision(test.decision);
      if (test.reason.has_value()) {
        *response.mutable_authorize()->mutable_reason() =
            ToErrorInfo({*test.reason, ""});
      }
      return response;
    });
    const std::vector<std::string> arguments{
        "authorize",  "--session",   kSession,      "--name", "a:b",
        "--resource", "x:y",         "--purpose",   "test",   "--audience",
        "a:b",        "--grant-out", folder_ + "/g"};
    EXPECT_EQ(Cli(arguments).exit_code, test.exit_code);
    auto machine = arguments;
    machine.emplace_back("--json");
    const Ran ran = Cli(machine);
    EXPECT_EQ(ran.exit_code, test.exit_code);
    EXPECT_EQ(json::parse(ran.out).at("decision"), test.decision);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/g"));
    daemon_.reset();
  }
}

}  // namespace
}  // namespace countersign::agent
