// countersign-authz as a program: its commands, and what a kill leaves behind.
#include "tests/attest/authz/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

namespace countersign::authz {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string TokenFrom(const Program& program,
                      std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"token", "create"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::string token = program.Run(arguments).out;
  while (token.ends_with('\n')) token.pop_back();
  return token;
}

TEST(ProgramTest, ShowsWhatHappenedOverItsWholeLife) {
  Program program;
  program.Start();
  HttpsLaptop laptop(program);
  ASSERT_TRUE(laptop.Enroll(TokenFrom(program)));
  ASSERT_TRUE(laptop.OpenSession());
  const auto answer = laptop.Send(laptop.NextBatch(2));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->decisions(0).decision(), "permit");
  const std::string index = std::to_string(answer->decisions(0).ledger_index());
  const std::string id = ToHex(laptop.device.device_id);

  const json devices =
      json::parse(program.Run({"device", "list", "--json"}).out);
  EXPECT_EQ(devices["devices"][0]["device_id"], id);
  EXPECT_THAT(program.Run({"device", "show", id}).out, HasSubstr("active"));

  const Ran shown = program.Run({"audit", "show", index});
  EXPECT_EQ(shown.exit_code, 0) << shown.out;
  for (const char* text : {"Who", "What", "Valid then", "ada (uid 1000)",
                           "rule 'post-orders' says permit", "✓"}) {
    EXPECT_THAT(shown.out, HasSubstr(text));
  }
  EXPECT_THAT(shown.out, testing::Not(HasSubstr("✗")));
  EXPECT_THAT(shown.out, testing::Not(HasSubstr("\x1b")));
  EXPECT_EQ(
      json::parse(program.Run({"audit", "show", index, "--json"}).out)["holds"],
      true);

  // While it runs; the service hears of it by itself.
  const Ran revoked = program.Run({"device", "revoke", id, "--reason", "lost"});
  EXPECT_EQ(revoked.exit_code, 0) << revoked.err;
  EXPECT_FALSE(laptop.Send(laptop.NextBatch(1)).has_value());
  EXPECT_THAT(program.Run({"audit", "list"}).out,
              testing::AllOf(HasSubstr("revocation"), HasSubstr("lost"),
                             HasSubstr("device_revoked")));
  EXPECT_EQ(program.Run({"audit", "verify"}).exit_code, 0);

  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(), 0);
}

TEST(ProgramTest, AnswersMistakesWithTheirExitCodes) {
  const Program program;
  EXPECT_EQ(Program::RunPlain({}).exit_code, 2);
  EXPECT_EQ(Program::RunPlain({"nonsense"}).exit_code, 2);
  EXPECT_EQ(Program::RunPlain({"audit"}).exit_code, 2);
  EXPECT_EQ(Program::RunPlain({"--help"}).exit_code, 0);
  EXPECT_THAT(Program::RunPlain({"audit", "show", "--help"}).out,
              HasSubstr("Example:"));
  const Ran nowhere =
      Program::RunPlain({"serve", "--config", "/nonexistent/authz.toml"});
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("/nonexistent/authz.toml"));
  const Ran none = program.Run({"audit", "show", "12345", "--json"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_EQ(json::parse(none.out)["error"]["reason"], "not_found");
  EXPECT_EQ(program.Run({"device", "revoke", ToHex(RandomBytes(16))}).exit_code,
            3);
  const Ran again = Program::RunPlain(
      {"init", "--dir", std::filesystem::path(program.Path("x")).parent_path(),
       "--issuer", "https://a.example"});
  EXPECT_NE(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("already"));
}

TEST(ProgramTest, RefusesKeysThatOthersCanRead) {
  const Program program;
  std::filesystem::permissions(program.Path("keys/service.pem"),
                               std::filesystem::perms(0644));
  const Ran ran = program.Run({"audit", "verify"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("service.pem"));
}

// A52
TEST(ProgramTest, NamesTheFirstBadEntryAndExitsWithFive) {
  const Program program;
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(program.Path("ledger.db").c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "UPDATE ledger_entries SET entry = x'00'", nullptr, nullptr,
               nullptr);
  sqlite3_close(db);
  const Ran ran = program.Run({"audit", "verify"});
  EXPECT_EQ(ran.exit_code, 5);
  EXPECT_THAT(ran.out, HasSubstr("first bad: entry 0"));
  EXPECT_EQ(json::parse(program.Run({"audit", "verify", "--json"})
                            .out)["finding"]["first_bad_index"],
            0);
}

TEST(ProgramTest, MakesListsAndRevokesTokens) {
  const Program program;
  const std::string token = TokenFrom(program, {"--uses", "3"});
  EXPECT_TRUE(token.starts_with("cs1."));
  const json list = json::parse(program.Run({"token", "list", "--json"}).out);
  ASSERT_EQ(list["tokens"].size(), 1u);
  EXPECT_EQ(list["tokens"][0]["max_uses"], 3);
  const std::string id = list["tokens"][0]["id"];
  EXPECT_EQ(program.Run({"token", "revoke", id}).exit_code, 0);
  EXPECT_EQ(
      json::parse(
          program.Run({"token", "list", "--json"}).out)["tokens"][0]["revoked"],
      true);
  EXPECT_EQ(program.Run({"token", "revoke", "ffffffffffff"}).exit_code, 2);
  // Both are on record, the secret is not.
  const std::string audit = program.Run({"audit", "list", "--json"}).out;
  EXPECT_THAT(audit,
              HasSubstr("enrollment token " + id + " made for 3 devices"));
  EXPECT_THAT(audit, HasSubstr("enrollment token " + id + " revoked"));
}

// F29, F37
TEST(ProgramTest, TakesNewRulesWhileItRuns) {
  Program program;
  program.Start();
  HttpsLaptop laptop(program);
  ASSERT_TRUE(laptop.Enroll(TokenFrom(program)));
  ASSERT_TRUE(laptop.OpenSession());
  const auto decide = [&] {
    const auto batch = laptop.NextBatch(1);
    const auto answer = laptop.Send(batch);
    EXPECT_TRUE(answer.has_value());
    if (!answer) return std::string();
    laptop.GoOn(batch, *answer);
    return answer->decisions(0).decision();
  };
  EXPECT_EQ(decide(), "permit");
  std::ofstream(program.Path("policy.toml")) << "[[rule]]\nname = 1\n";
  program.Signal(SIGHUP);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(decide(), "permit");
  EXPECT_THAT(program.Log(), HasSubstr("policy.toml:2:"));
  std::ofstream(program.Path("policy.toml")) << "[,";
  program.Signal(SIGHUP);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(decide(), "permit");
  EXPECT_THAT(program.Log(), HasSubstr("policy.toml: not TOML"));
  // Noticed without a signal as well.
  std::ofstream(program.Path("policy.toml")) << "# nothing any more\n";
  std::string decision = "permit";
  for (int i = 0; i < 50 && decision == "permit"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    decision = decide();
  }
  EXPECT_EQ(decision, "deny");
}

// F02: killed in the middle of commits, over and over. What was answered is
// in the ledger; what was not is there once, after it was sent again.
TEST(ProgramTest, LosesAndDoublesNothingWhenItIsKilled) {
  Program program;
  program.Start();
  HttpsLaptop laptop(program);
  ASSERT_TRUE(laptop.Enroll(TokenFrom(program)));
  ASSERT_TRUE(laptop.OpenSession());
  std::mt19937 random(20'251);
  uint64_t acknowledged = 0;
  std::set<std::string> grants;
  std::set<uint64_t> indices;
  for (int kill = 0; kill < 12; ++kill) {
    std::jthread killer([&, after = 10 + random() % 120] {
      std::this_thread::sleep_for(std::chrono::milliseconds(after));
      program.Signal(SIGKILL);
    });
    v1::BatchEvidence batch = laptop.NextBatch(20);
    std::optional<v1::BatchAnswer> answer;
    while ((answer = laptop.Send(batch)).has_value()) {
      for (const auto& decision : answer->decisions()) {
        EXPECT_EQ(decision.decision(), "permit");
        EXPECT_TRUE(indices.insert(decision.ledger_index()).second);
        EXPECT_TRUE(grants.insert(decision.grant_jti()).second);
        ++acknowledged;
      }
      laptop.GoOn(batch, *answer);
      batch = laptop.NextBatch(20);
    }
    killer.join();
    EXPECT_EQ(program.Wait(), -SIGKILL);
    program.Start();
    // The unanswered batch again: committed or not, it is decided once.
    answer = laptop.Send(batch);
    ASSERT_TRUE(answer.has_value()) << program.Log();
    for (const auto& decision : answer->decisions()) {
      EXPECT_TRUE(indices.insert(decision.ledger_index()).second);
      EXPECT_TRUE(grants.insert(decision.grant_jti()).second);
      ++acknowledged;
    }
    laptop.GoOn(batch, *answer);
  }
  EXPECT_EQ(program.Run({"audit", "verify"}).exit_code, 0);
  const json list = json::parse(
      program.Run({"audit", "list", "--since", "1d", "--json"}).out);
  uint64_t decisions = 0;
  for (const auto& entry : list["entries"]) {
    decisions += entry["kind"] == "decision";
  }
  EXPECT_EQ(decisions, acknowledged);
}

}  // namespace
}  // namespace countersign::authz
