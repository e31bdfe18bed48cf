// countersignd as it is installed: a process that is killed, reloaded and
// watched, with clients that are other processes and other users.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "tests/agent/daemon/daemon_rig.h"
#include "tests/agent/daemon/program_rig.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

std::string AuthorizeCommand(const std::string& session) {
  return "authorize --session " + Hex(session) +
         " --name test:do --resource https://api.test/x --purpose p";
}

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Succeeds(rig_.Enroll())) << rig_.log();
    client_ = rig_.Connect();
    const auto session = rig_.OpenSession(*client_);
    ASSERT_TRUE(Succeeds(session)) << rig_.log();
    session_ = *session;
  }
  void TearDown() override {
    EXPECT_EQ(rig_.service.complaints(), std::vector<std::string>());
  }

  ProgramRig rig_;
  std::optional<Client> client_;
  std::string session_;
};

TEST_F(ProgramTest, DescendantOfTheOwnerMayUseItsSession) {
  const std::string countersign = ProgramRig::Program("countersign") +
                                  " --config " + rig_.config_path() + " ";
  const Ran ran = ProgramRig::Shell(
      "S=$(" + countersign + "session open --purpose p) && (" + countersign +
      "authorize --session $S --name test:do --resource https://api.test/x "
      "--purpose p)");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
}

TEST_F(ProgramTest, AnotherProcessOfTheSameUserMayNot) {
  // Its parent has exited, so it descends from this process no more.
  const std::string out = rig_.folder + "/out";
  const Ran ran = ProgramRig::Shell(
      "(setsid sh -c 'sleep 0.5; " + ProgramRig::Program("countersign") +
      " --config " + rig_.config_path() + " " + AuthorizeCommand(session_) +
      " --json >" + out + " 2>&1; echo done >>" + out + "' &)");
  ASSERT_EQ(ran.exit_code, 0);
  std::string text;
  EXPECT_TRUE(Eventually([&] {
    std::ifstream file(out);
    std::ostringstream all;
    all << file.rdbuf();
    text = all.str();
    return text.find("done") != std::string::npos;
  }));
  EXPECT_NE(text.find("not_session_owner"), std::string::npos) << text;
  EXPECT_TRUE(rig_.service.actions().empty());
}

// A43
TEST_F(ProgramTest, AnotherUserSeesAndUsesNothingOfThisOne) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const std::string as_nobody =
      "setpriv --reuid 65533 --regid 65533 "
      "--clear-groups " +
      ProgramRig::Program("countersign") + " --config " + rig_.config_path() +
      " ";
  if (ProgramRig::Shell("setpriv --reuid 65533 --regid 65533 --clear-groups "
                        "test -x " +
                        ProgramRig::Program("countersign"))
          .exit_code != 0) {
    GTEST_SKIP() << "the build folder is closed to other users";
  }
  const Ran used =
      ProgramRig::Shell(as_nobody + AuthorizeCommand(session_) + " --json");
  EXPECT_NE(used.exit_code, 0);
  EXPECT_NE(used.output.find("session_unknown"), std::string::npos)
      << used.output;
  const Ran listed = ProgramRig::Shell(as_nobody + "session list");
  EXPECT_EQ(listed.exit_code, 0) << listed.output;
  EXPECT_EQ(listed.output.find(Hex(session_)), std::string::npos);
  const Ran closed =
      ProgramRig::Shell(as_nobody + "session close --session " + Hex(session_));
  EXPECT_NE(closed.exit_code, 0);
  const std::string token = rig_.folder + "/token";
  std::ofstream(token) << rig_.service.token();
  const Ran enrolled = ProgramRig::Shell(
      as_nobody + "enroll --json --service https://authz.test --token-file " +
      token);
  EXPECT_NE(enrolled.exit_code, 0);
  EXPECT_NE(enrolled.output.find("not_administrator"), std::string::npos)
      << enrolled.output;
  EXPECT_TRUE(Succeeds(client_->Call(AuthorizeAsk(session_), seconds(20))));
}

TEST_F(ProgramTest, RunGivesItsChildASessionOfItsOwn) {
  const Ran ran = rig_.Cli(
      "run --purpose p -- sh -c '" + ProgramRig::Program("countersign") +
      " authorize --name test:do --resource https://api.test/x --purpose p; "
      "echo exit $?'");
  EXPECT_NE(ran.output.find("exit 0"), std::string::npos) << ran.output;
  // The session ended with its owner.
  EXPECT_TRUE(Eventually([&] {
    const auto ends = rig_.service.session_ends();
    return ends.size() == 1 &&
           (ends[0] == "owner_exited" || ends[0] == "client_closed");
  }));
  // Seen before the shell had started anything: what it has started since is
  // its own.
  const v1::Workload workload = rig_.service.last_binding().workload();
  EXPECT_NE(workload.executable_path().find("sh"), std::string::npos);
  for (const auto& seen : workload.observations()) {
    if (seen.name() == "executable_path") {
      EXPECT_EQ(seen.grade(), v1::GRADE_KERNEL);
    }
  }
}

// F01: killed at any moment, and the service sees one unbroken journal.
TEST_F(ProgramTest, KilledAgainAndAgainItLosesNoNumberAndNoBatch) {
  std::mt19937 random(1);
  std::set<std::string> permitted;
  for (int round = 0; round < 12; ++round) {
    std::thread killer([this, &random] {
      std::this_thread::sleep_for(milliseconds(random() % 120));
      rig_.Kill(SIGKILL);
    });
    // Several requests at a time until the connection breaks.
    while (client_.has_value()) {
      for (int i = 0; i < 20; ++i) {
        if (!client_->Send(AuthorizeAsk(session_), seconds(5)).has_value()) {
          break;
        }
      }
      for (int i = 0; i < 20; ++i) {
        const auto answer = client_->Receive(seconds(20));
        if (!answer.has_value()) {
          client_.reset();
          break;
        }
        if (answer->authorize().decision() == "permit") {
          permitted.insert(answer->authorize().action_digest());
        }
      }
    }
    killer.join();
    rig_.Start();
    client_ = rig_.Connect();
    ASSERT_TRUE(Eventually([&] {
      const auto session = rig_.OpenSession(*client_);
      if (session.has_value()) session_ = *session;
      return session.has_value();
    })) << rig_.log();
  }
  ASSERT_TRUE(Eventually([&] {
    const auto answer = client_->Call(AuthorizeAsk(session_), seconds(20));
    return answer.has_value() && answer->authorize().decision() == "permit";
  }));
  uint64_t next = 0;
  std::string journal;
  for (const auto& batch : rig_.service.accepted()) {
    if (journal.empty()) journal = batch.journal_id;
    EXPECT_EQ(batch.journal_id, journal);
    for (const v1::Action& action : batch.actions) {
      ASSERT_EQ(action.sequence(), next++);
    }
  }
  EXPECT_GT(next, 20u);
  EXPECT_FALSE(permitted.empty());
}

// F12
TEST_F(ProgramTest, TpmThatCrashesAndComesBackIsUsedAgain) {
  rig_.tpm.Kill();
  const auto failed = client_->Call(AuthorizeAsk(session_), seconds(30));
  EXPECT_FALSE(failed.has_value());
  rig_.tpm.Start();
  rig_.tpm.Extend();
  EXPECT_TRUE(Eventually([&] {
    const auto session = rig_.OpenSession(*client_);
    if (session.has_value()) session_ = *session;
    return session.has_value();
  })) << rig_.log();
  EXPECT_TRUE(Eventually([&] {
    const auto answer = client_->Call(AuthorizeAsk(session_), seconds(30));
    return answer.has_value() && answer->authorize().decision() == "permit";
  }));
}

// F27
TEST_F(ProgramTest, RefusesASecondDaemon) {
  const Ran second = ProgramRig::Shell(ProgramRig::Program("countersignd") +
                                       " --config " + rig_.config_path());
  EXPECT_NE(second.exit_code, 0);
  EXPECT_NE(second.output.find("Another instance is running"),
            std::string::npos)
      << second.output;
  EXPECT_TRUE(Succeeds(client_->Call(AuthorizeAsk(session_), seconds(20))));
}

// F29, F37
TEST_F(ProgramTest, ReloadsOnHangupAndStopsOnTerm) {
  std::ofstream(rig_.config_path()) << "{\n\"socket\": 3}";
  ::kill(rig_.pid(), SIGHUP);
  EXPECT_TRUE(Eventually([&] {
    return rig_.log().find("agent.json:2: \"socket\" must be a string") !=
           std::string::npos;
  })) << rig_.log();
  EXPECT_TRUE(Succeeds(client_->Call(AuthorizeAsk(session_), seconds(20))));
  rig_.Kill(SIGTERM);
  EXPECT_EQ(rig_.exit_code(), 0) << rig_.log();
}

// A46
TEST_F(ProgramTest, SaysWhichPathIsUnsafeAndWhatToDo) {
  rig_.Kill(SIGTERM);
  const std::string command =
      ProgramRig::Program("countersignd") + " --config " + rig_.config_path();
  const std::string state = rig_.folder + "/state";
  ::chmod(state.c_str(), 0755);
  Ran ran = ProgramRig::Shell(command);
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_NE(ran.output.find(state), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find("what to do:"), std::string::npos) << ran.output;
  ::chmod(state.c_str(), 0700);

  std::ofstream(rig_.folder + "/plain") << "x";
  ran = ProgramRig::Shell(command + " --socket " + rig_.folder + "/plain");
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_NE(ran.output.find(rig_.folder + "/plain"), std::string::npos)
      << ran.output;

  ASSERT_EQ(::symlink(state.c_str(), (rig_.folder + "/link").c_str()), 0);
  ran = ProgramRig::Shell(command + " --state-dir " + rig_.folder + "/link");
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_NE(ran.output.find(rig_.folder + "/link"), std::string::npos)
      << ran.output;

  ::chmod(rig_.config_path().c_str(), 0666);
  ran = ProgramRig::Shell(command);
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_NE(ran.output.find("chmod go-w " + rig_.config_path()),
            std::string::npos)
      << ran.output;
}

// The sum over all threads of how often they slept and woke.
uint64_t WakeUps(int pid) {
  uint64_t sum = 0;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("voluntary_ctxt_switches:")) {
        sum += std::stoull(line.substr(line.find(':') + 1));
      }
    }
  }
  return sum;
}

uint64_t PrivateDirtyKb(int pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with("Private_Dirty:")) {
      return std::stoull(line.substr(line.find(':') + 1));
    }
  }
  return 0;
}

TEST_F(ProgramTest, SleepsWhenIdleAndDoesNotGrow) {
  const auto burst = [&](int actions) {
    int sent = 0, got = 0;
    while (got < actions) {
      while (sent < actions && sent - got < 200) {
        ASSERT_TRUE(
            Succeeds(client_->Send(AuthorizeAsk(session_), seconds(5))));
        ++sent;
      }
      const auto answer = client_->Receive(seconds(20));
      ASSERT_TRUE(Succeeds(answer));
      ASSERT_EQ(answer->authorize().decision(), "permit");
      ++got;
    }
  };
  burst(2000);
  std::this_thread::sleep_for(milliseconds(300));
  const uint64_t first_kb = PrivateDirtyKb(rig_.pid());
  burst(4000);
  std::this_thread::sleep_for(milliseconds(300));
  const uint64_t second_kb = PrivateDirtyKb(rig_.pid());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(first_kb, 10'000u);
  EXPECT_LT(second_kb, first_kb + 1'000);
#endif
  const uint64_t before = WakeUps(rig_.pid());
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_EQ(WakeUps(rig_.pid()), before);
}

// F04
TEST(ProgramDiskTest, FullDiskIsNamedAndNothingIsLost) {
  ProgramRig rig;
  rig.Kill(SIGTERM);
  const std::string state = rig.folder + "/state";
  if (::mount("tmpfs", state.c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0) {
    GTEST_SKIP() << "mounting needs privileges";
  }
  rig.Start();
  ASSERT_TRUE(Succeeds(rig.Enroll())) << rig.log();
  auto client = rig.Connect();
  auto session = rig.OpenSession(*client);
  ASSERT_TRUE(Succeeds(session));
  ASSERT_TRUE(Succeeds(client->Call(AuthorizeAsk(*session), seconds(20))));
  {
    std::ofstream filler(state + "/filler");
    while (filler << std::string(4096, 'x') << std::flush) {
    }
  }
  Result<v1::Response> answer = Fail(ErrorCode::kInternal);
  // What SQLite had set aside is used up first.
  for (int i = 0; i < 300; ++i) {
    answer = client->Call(AuthorizeAsk(*session), seconds(20));
    if (!answer.has_value()) break;
  }
  EXPECT_TRUE(FailsWith(answer, ErrorCode::kDiskFull));
  std::filesystem::remove(state + "/filler");
  EXPECT_TRUE(Eventually([&] {
    const auto again = client->Call(AuthorizeAsk(*session), seconds(20));
    return again.has_value() && again->authorize().decision() == "permit";
  }));
  uint64_t next = 0;
  for (const v1::Action& action : rig.service.actions()) {
    EXPECT_EQ(action.sequence(), next++);
  }
  rig.Kill(SIGTERM);
  ::umount2(state.c_str(), MNT_DETACH);
}

// F05, F17: without its TPM the daemon serves, and says what is missing.
TEST(ProgramTpmTest, RunsWithoutATpmAndUsesItWhenItAppears) {
  ProgramRig rig;
  rig.Kill(SIGTERM);
  rig.tpm.Stop();
  rig.Start();
  const Ran doctor = rig.Cli("doctor");
  EXPECT_EQ(doctor.exit_code, 1);
  EXPECT_NE(doctor.output.find("The TPM cannot be reached"), std::string::npos)
      << doctor.output;
  EXPECT_TRUE(FailsWith(rig.Enroll(), ErrorCode::kTpmUnavailable));
  rig.tpm.Start();
  rig.tpm.Extend();
  EXPECT_TRUE(Eventually([&] { return rig.Enroll().has_value(); }))
      << rig.log();
  // Nobody but us has written there, the TPM's libraries included.
  std::istringstream log(rig.log());
  for (std::string line; std::getline(log, line);) {
    EXPECT_TRUE(line.starts_with("countersignd: ")) << line;
  }
}

}  // namespace
}  // namespace countersign::agent
