// countersign-authz as a program: its commands, and what a kill leaves behind.
#include "tests/attest/authz/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>
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
  const Ran unknown = program.Run({"device", "revoke", ToHex(RandomBytes(16))});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("Check the name or identifier"));
  const Ran again = Program::RunPlain(
      {"init", "--dir", std::filesystem::path(program.Path("x")).parent_path(),
       "--issuer", "https://a.example"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, testing::AllOf(HasSubstr("already"),
                                        HasSubstr("Give another --dir")));
}

TEST(ProgramTest, ListensWhereTheIssuerIs) {
  const TempFolder folder;
  const auto init = [&](const std::string& name, const std::string& issuer,
                        std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"init", "--dir", folder.Path(name),
                                      "--issuer", issuer};
    words.insert(words.end(), more.begin(), more.end());
    return Program::RunPlain(words);
  };
  const auto config = [&](const std::string& name) {
    std::ifstream file(folder.Path(name + "/authz.toml"));
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  const Ran made = init("a", "https://authz.example:9443");
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(config("a"), HasSubstr("127.0.0.1:9443"));
  EXPECT_THAT(made.out, HasSubstr("trust/ek-roots"));
  EXPECT_THAT(made.err, HasSubstr("was not kept"));
  EXPECT_EQ(init("b", "https://authz.example").exit_code, 0);
  EXPECT_THAT(config("b"), HasSubstr("127.0.0.1:443'"));
  for (const char* port : {"99999", "0"}) {
    const std::string bad = port;
    EXPECT_NE(init("c", "https://authz.example:" + bad).exit_code, 0) << bad;
    EXPECT_NE(
        init("c", "https://authz.example", {"--listen", "127.0.0.1:" + bad})
            .exit_code,
        0)
        << bad;
  }
}

// A46
TEST(ProgramTest, RefusesTrustInputsThatOthersCanWrite) {
  using std::filesystem::perms;
  Program program;
  struct Case {
    const char* path;
    unsigned bad, good;
  };
  for (const Case& one :
       {Case{"authz.toml", 0666, 0644}, Case{"authz.toml", 0664, 0644},
        Case{"policy.toml", 0666, 0644}, Case{"ek-roots", 0777, 0755},
        Case{".", 0777, 0755}}) {
    const std::string path = program.Path(one.path);
    std::filesystem::permissions(path, perms(one.bad));
    const Ran ran = program.Run({"serve"});
    EXPECT_EQ(ran.exit_code, 1) << one.path;
    EXPECT_THAT(ran.err, HasSubstr("run: chmod go-w ")) << one.path;
    std::filesystem::permissions(path, perms(one.good));
  }
  // While it runs, the policy that is in force stays.
  program.Start();
  std::filesystem::permissions(program.Path("policy.toml"), perms(0666));
  for (int i = 0; i < 50 && program.Log().find("chmod") == std::string::npos;
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_THAT(program.Log(),
              testing::AllOf(HasSubstr("the policy stays as it was"),
                             HasSubstr("run: chmod go-w ")));
}

// A46: nor does root serve from what one user can change.
TEST(ProgramTest, RefusesRootTheFolderOfAnother) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const Program program;
  const auto give = [&](const char* name, uid_t owner) {
    ASSERT_EQ(::chown(program.Path(name).c_str(), owner, owner), 0);
  };
  // Whoever owns the folder could have put the file there.
  give(".", 1);
  give("authz.toml", 1);
  for (const char* command : {"serve", "device"}) {
    std::vector<std::string> arguments{command};
    if (arguments[0] == "device") arguments.emplace_back("list");
    const Ran ran = program.Run(arguments);
    EXPECT_EQ(ran.exit_code, 1) << command;
    EXPECT_THAT(ran.err, testing::AllOf(HasSubstr("belongs to uid 1"),
                                        HasSubstr("under that account")));
  }
}

TEST(ProgramTest, ShowsAnExampleOfEachGroup) {
  for (const char* group : {"device", "token", "audit"}) {
    EXPECT_THAT(
        Program::RunPlain({group, "--help"}).out,
        HasSubstr("Example:\n  countersign-authz " + std::string(group) + " "));
  }
}

// Every command and option that --help shows, of `command` and those below.
void CollectHelp(const std::vector<std::string>& command,
                 std::set<std::string>* commands,
                 std::set<std::string>* options) {
  std::vector<std::string> words = command;
  words.push_back("--help");
  std::istringstream help(Program::RunPlain(words).out);
  std::vector<std::string> below;
  bool in_commands = false;
  for (std::string line; std::getline(help, line);) {
    if (line.starts_with("Subcommands:")) {
      in_commands = true;
    } else if (in_commands && line.starts_with("  ") && line[2] != ' ') {
      below.push_back(line.substr(2, line.find(' ', 2) - 2));
    } else if (!in_commands) {
      const size_t at = line.find("--");
      if (line.starts_with("  -") && at != std::string::npos) {
        options->insert(
            line.substr(at + 2, line.find_first_of(" ,", at) - at - 2));
      }
    }
  }
  for (const std::string& name : below) {
    commands->insert(name);
    std::vector<std::string> deeper = command;
    deeper.push_back(name);
    CollectHelp(deeper, commands, options);
  }
}

// The manual is written by hand; that nothing is missing in it is checked.
TEST(ProgramManualTest, NamesEveryCommandAndOption) {
  std::ifstream file(std::string(getenv("COUNTERSIGN_SOURCE")) +
                     "/docs/man/countersign-authz.8");
  const std::string manual((std::istreambuf_iterator<char>(file)), {});
  std::set<std::string> commands;
  std::set<std::string> options;
  CollectHelp({}, &commands, &options);
  EXPECT_GE(commands.size(), 10u);
  EXPECT_GE(options.size(), 12u);
  for (const std::string& name : commands) {
    EXPECT_THAT(manual, HasSubstr(name));
  }
  for (const std::string& name : options) {
    EXPECT_THAT(manual, HasSubstr("Fl -" + name));
  }
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
  EXPECT_THAT(audit, HasSubstr("enrollment token " + id + " revoked, by "));
}

TEST(ProgramTest, SaysThatTheEndOfTheLedgerIsMissing) {
  const Program program;
  ASSERT_EQ(program.Run({"token", "create"}).exit_code, 0);
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(program.Path("ledger.db").c_str(), &db), SQLITE_OK);
  sqlite3_exec(db,
               "DELETE FROM checkpoints WHERE size > 1;"
               "DELETE FROM ledger_entries WHERE idx > 0;",
               nullptr, nullptr, nullptr);
  sqlite3_close(db);
  const Ran older = program.Run({"audit", "verify"});
  EXPECT_EQ(older.exit_code, 5);
  EXPECT_THAT(older.out, HasSubstr("older than a head that was kept"));
  std::filesystem::remove(program.Path("ledger.head"));
  const Ran headless = program.Run({"audit", "verify"});
  EXPECT_EQ(headless.exit_code, 5);
  EXPECT_THAT(headless.out, HasSubstr("ledger.head is missing"));
}

// A52
TEST(ProgramTest, SaysThatTheKeptHeadIsDamaged) {
  const Program program;
  for (const std::string& content :
       {std::string("nonsense"), std::string(100'000, 'x')}) {
    std::ofstream(program.Path("ledger.head")) << content;
    const Ran ran = program.Run({"audit", "verify"});
    EXPECT_EQ(ran.exit_code, 5);
    EXPECT_THAT(ran.out, testing::AllOf(HasSubstr("ledger.head is damaged"),
                                        HasSubstr("its own backup")));
    const json as_json =
        json::parse(program.Run({"audit", "verify", "--json"}).out);
    EXPECT_EQ(as_json["ok"], false);
    EXPECT_EQ(as_json["finding"]["remedy"],
              "Restore this file from its own backup; leave the database as it "
              "is.");
  }
}

TEST(ProgramTest, DoesNotTakeErasedEvidenceForSuccess) {
  Program program;
  program.Start();
  HttpsLaptop laptop(program);
  ASSERT_TRUE(laptop.Enroll(TokenFrom(program)));
  ASSERT_TRUE(laptop.OpenSession());
  const auto answer = laptop.Send(laptop.NextBatch(1));
  ASSERT_TRUE(answer.has_value());
  const std::string index = std::to_string(answer->decisions(0).ledger_index());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(program.Path("ledger.db").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "DELETE FROM evidence", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  const Ran shown = program.Run({"audit", "show", index});
  EXPECT_EQ(shown.exit_code, 1);
  EXPECT_THAT(shown.out, testing::AllOf(HasSubstr("was erased (user, "),
                                        testing::Not(HasSubstr("✗"))));
  const Ran as_json = program.Run({"audit", "show", index, "--json"});
  EXPECT_EQ(as_json.exit_code, 1);
  EXPECT_EQ(json::parse(as_json.out)["complete"], false);
}

TEST(ProgramTest, NotesWhoAndWhichPolicy) {
  Program program;
  program.Start();
  HttpsLaptop laptop(program);
  ASSERT_TRUE(laptop.Enroll(TokenFrom(program)));
  ASSERT_EQ(program.Run({"device", "revoke", ToHex(laptop.device.device_id)})
                .exit_code,
            0);
  const std::string list = program.Run({"audit", "list"}).out;
  EXPECT_THAT(list, HasSubstr("administrator, by "));
  EXPECT_THAT(list, HasSubstr("uid " + std::to_string(getuid())));
  EXPECT_THAT(list, testing::ContainsRegex("policy in force [0-9a-f]{64}"));
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
