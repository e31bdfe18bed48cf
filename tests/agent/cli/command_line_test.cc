// The real program, called as people and scripts call it.
#include "tests/agent/cli/command_line.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/agent/cli/bundle_maker.h"

namespace countersign::agent {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(CommandLineTest, ShowsAnExampleFirstInEveryHelp) {
  const std::vector<std::vector<std::string>> commands{
      {},         {"status"},          {"enroll"},
      {"run"},    {"session"},         {"session", "open"},
      {"doctor"}, {"session", "list"}, {"session", "close"},
      {"verify"}, {"authorize"},       {"dpop"},
      {"export"}, {"completion"},      {"approve"},
      {"login"},  {"logout"}};
  for (auto command : commands) {
    command.emplace_back("--help");
    const Ran ran = Cli(command);
    EXPECT_EQ(ran.exit_code, 0);
    EXPECT_TRUE(ran.out.starts_with("Example:\n  ")) << ran.out;
    EXPECT_THAT(ran.err, IsEmpty());
  }
}

TEST_F(CommandLineTest, RefusesWhatItDoesNotUnderstand) {
  struct {
    std::vector<std::string> arguments;
    const char* says;
  } const cases[] = {
      {{}, "Usage:"},
      {{"statsu"}, "Did you mean 'status'?"},
      {{"session"}, "subcommand"},
      {{"session", "lsit"}, "Did you mean 'list'?"},
      {{"status", "--jsno"}, "Did you mean '--json'?"},
      {{"authorize", "--purpos", "x"}, "Did you mean '--purpose'?"},
      {{"status", "more"}, "'more' is not known"},
      {{"enroll"}, "--service"},
      {{"enroll", "--service"}, "--service"},
      {{"verify", "bundle"}, "--trust"},
      {{"dpop", "--method", "GET"}, "--uri"},
      {{"run", "--purpose", "x"}, "no command to run"},
      {{"run", "--", "true"}, "--purpose"},
      {{"export", "--bundle", "b", "--out", "o", "--format", "zip"}, "zip"},
      {{"completion", "tcsh"}, "tcsh"},
      {{"approve", "00"}, "--yes"},  // No terminal.
      {{"approve", "00", "--yes", "--deny"}, "--deny"},
      {{"session", "open", "--purpose", "x", "--lifetime", "-1"}, "-1"},
      {{"session", "open", "--purpose", "x", "--lifetime", "0"}, "at least 1"},
      {{"session", "open", "--purpose", "x", "--lifetime", "00"}, "at least 1"},
      {{"session", "open", "--purpose", "x", "--lifetime", "0x0"},
       "at least 1"},
      {{"session", "open", "--purpose", "x", "--lifetime", "x"},
       "See countersign session open --help."},
      {{"session", "open", "--purpose", "\xff"}, "--purpose: not valid UTF-8"},
      {{"authorize", "--task", "\xed\xa0\x80"}, "--task: not valid UTF-8"},
      {{"run", "--purpose", "\xff", "--", "true"}, "not valid UTF-8"},
  };
  for (const auto& test : cases) {
    const Ran ran = Cli(test.arguments);
    EXPECT_EQ(ran.exit_code, 2) << test.says;
    EXPECT_THAT(ran.err, HasSubstr(test.says));
    EXPECT_THAT(ran.out, IsEmpty());
  }
}

TEST_F(CommandLineTest, ReportsUsageAsJsonWhereAsked) {
  const Ran ran = Cli({"statsu", "--json"});
  EXPECT_EQ(ran.exit_code, 2);
  const json error = json::parse(ran.out).at("error");
  EXPECT_EQ(error.at("code"), "bad_request");
  EXPECT_EQ(error.at("reason"), "usage");
  EXPECT_EQ(error.at("remedy"), "Did you mean 'status'?");
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST_F(CommandLineTest, SaysThatTheDaemonIsNotRunning) {
  for (const char* command : {"status", "doctor"}) {
    EXPECT_EQ(Cli({command}).exit_code, 4) << command;
  }
  EXPECT_THAT(Cli({"status"}).err, HasSubstr("systemctl start"));
  const json error = json::parse(Cli({"status", "--json"}).out).at("error");
  EXPECT_EQ(error.at("code"), "daemon_not_running");
  EXPECT_EQ(error.at("reason"), "daemon_not_running");
}

TEST_F(CommandLineTest, EndsWithTheExitCodeOfTheReason) {
  struct {
    ErrorCode code;
    int exit_code;
  } constexpr kCases[] = {
      {ErrorCode::kInternal, 1},          {ErrorCode::kBadRequest, 2},
      {ErrorCode::kNotEnrolled, 3},       {ErrorCode::kBadSignature, 5},
      {ErrorCode::kPolicyDenied, 10},     {ErrorCode::kNotSessionOwner, 10},
      {ErrorCode::kApprovalRequired, 11}, {ErrorCode::kSessionEnded, 12},
      {ErrorCode::kSessionExpired, 12},   {ErrorCode::kServiceUnreachable, 20},
      {ErrorCode::kTpmUnavailable, 21},   {ErrorCode::kBusy, 75}};
  for (const auto& test : kCases) {
    AnswerError(test.code, "seen here");
    const Ran plain = Cli({"session", "list"});
    EXPECT_EQ(plain.exit_code, test.exit_code) << Name(test.code);
    EXPECT_THAT(plain.err, HasSubstr(std::string(Message(test.code))));
    EXPECT_THAT(plain.err, HasSubstr("remedy: "));
    EXPECT_THAT(plain.err, HasSubstr("detail: seen here"));
    const Ran machine = Cli({"session", "list", "--json"});
    EXPECT_EQ(machine.exit_code, test.exit_code);
    const json error = json::parse(machine.out).at("error");
    EXPECT_EQ(error.at("reason"), Name(test.code));
    EXPECT_EQ(error.at("code"), Name(Public(test.code)));
    EXPECT_EQ(error.at("detail"), "seen here");
    daemon_.reset();
  }
}

TEST_F(CommandLineTest, ShowsTheStatus) {
  Answer([](const v1::Request& request) -> Result<v1::Response> {
    EXPECT_TRUE(request.has_status());
    v1::Response response;
    v1::StatusResponse& status = *response.mutable_status();
    status.set_enrolled(true);
    status.set_device_id(SessionBytes());
    status.set_service("https://authz.example");
    status.set_uplink_connected(true);
    *status.mutable_service_error() =
        ToErrorInfo({ErrorCode::kTlsFailed, "self-signed"});
    return response;
  });
  const Ran ran = Cli({"status", "--json"});
  EXPECT_EQ(ran.exit_code, 0);
  const json status = json::parse(ran.out);
  EXPECT_EQ(status.at("device_id"), kSession);
  EXPECT_EQ(status.at("tpm"), "ok");
  EXPECT_EQ(status.at("tpm_error"), nullptr);
  EXPECT_EQ(status.at("service_error").at("reason"), "tls_failed");
  EXPECT_THAT(Cli({"status"}).out, HasSubstr(kSession));
}

TEST_F(CommandLineTest, StatusDoesNotCallATpmWellThatNobodyOpened) {
  Answer([](const v1::Request&) -> Result<v1::Response> {
    v1::Response response;
    response.mutable_status()->set_tpm_not_opened(true);
    return response;
  });
  const json status = json::parse(Cli({"status", "--json"}).out);
  EXPECT_EQ(status.at("tpm"), "not_opened");
  EXPECT_EQ(status.at("tpm_error"), nullptr);
  EXPECT_THAT(Cli({"status"}).out, HasSubstr("not opened yet"));
}

TEST_F(CommandLineTest, StatusOfADeviceThatIsNotEnrolled) {
  Answer([](const v1::Request&) -> Result<v1::Response> {
    v1::Response response;
    response.mutable_status();
    return response;
  });
  const Ran ran = Cli({"status"});
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.out, HasSubstr("countersign enroll"));
}

TEST_F(CommandLineTest, EnrollSendsTokenAndCaAsBytes) {
  Answer([](const v1::Request& request) -> Result<v1::Response> {
    EXPECT_EQ(request.enroll().service(), "https://authz.example");
    EXPECT_EQ(request.enroll().token(), "cs1.secret.thumb");
    EXPECT_EQ(request.enroll().ca_pem(), "CA bytes\n");
    v1::Response response;
    response.mutable_enroll()->set_device_id(SessionBytes());
    return response;
  });
  std::ofstream(folder_ + "/ca.pem") << "CA bytes\n";
  const Ran ran =
      Cli({"enroll", "--service", "https://authz.example", "--token-file", "-",
           "--ca-file", folder_ + "/ca.pem", "--json"},
          "cs1.secret.thumb\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_EQ(json::parse(ran.out).at("device_id"), kSession);
  EXPECT_THAT(ran.out + ran.err, Not(HasSubstr("secret")));
}

TEST_F(CommandLineTest, RefusesSessionIdsThatAreNone) {
  AnswerError(ErrorCode::kInternal);
  for (const char* id : {"", "00", "zz0102030405060708090a0b0c0d0e0f"}) {
    const Ran ran =
        Cli({"dpop", "--session", id, "--method", "GET", "--uri", "https://a"});
    EXPECT_EQ(ran.exit_code, 2) << id;
  }
  EXPECT_THAT(daemon_->asked(), IsEmpty());
}

TEST_F(CommandLineTest, DpopPrintsTheProofAlone) {
  Answer([](const v1::Request& request) -> Result<v1::Response> {
    EXPECT_EQ(request.sign_dpop().grant(), "grant.token");
    EXPECT_EQ(request.sign_dpop().server_nonce(), "n");
    v1::Response response;
    response.mutable_sign_dpop()->set_proof("proof.token");
    return response;
  });
  const Ran ran =
      Cli({"dpop", "--session", kSession, "--method", "GET", "--uri",
           "https://a/", "--grant-file", "-", "--nonce", "n"},
          "grant.token\n");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, "proof.token\n");
}

TEST_F(CommandLineTest, SessionOpenMakesItsCallerTheOwner) {
  Answer([](const v1::Request&) -> Result<v1::Response> {
    v1::Response response;
    response.mutable_open_session()->mutable_session()->set_session_id(
        SessionBytes());
    return response;
  });
  const Ran ran =
      Cli({"session", "open", "--purpose", "test", "--lifetime", "60"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, kSession + "\n");
  const auto asked = daemon_->asked();
  EXPECT_EQ(asked.at(0).processes, 1u);
  EXPECT_EQ(asked.at(0).request.open_session().lifetime_s(), 60u);
}

TEST_F(CommandLineTest, PrintsHostileTextHarmlessly) {  // A33
  Answer([](const v1::Request&) -> Result<v1::Response> {
    v1::Response response;
    v1::SessionInfo& session =
        *response.mutable_list_sessions()->add_sessions();
    session.set_session_id(SessionBytes());
    session.set_purpose("line\n\x1b[31mred\xe2\x80\xaegpj.exe");
    return response;
  });
  const Ran ran = Cli({"session", "list"});
  EXPECT_EQ(std::ranges::count(ran.out, '\n'), 1);
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(ran.out, Not(HasSubstr("\xe2\x80\xae")));
}

Result<v1::Response> OpenAndClose(const v1::Request& request) {
  v1::Response response;
  if (request.has_open_session()) {
    response.mutable_open_session()->mutable_session()->set_session_id(
        SessionBytes());
  } else {
    response.mutable_close_session();
  }
  return response;
}

TEST_F(CommandLineTest, RunGivesItsChildASessionAndEndsIt) {
  Answer(OpenAndClose);
  const Ran ran =
      Cli({"run", "--purpose", "test", "--task", "t1", "--", "sh", "-c",
           "echo $COUNTERSIGN_SESSION; echo $COUNTERSIGN_SOCKET; exit 42"});
  EXPECT_EQ(ran.exit_code, 42);
  EXPECT_EQ(ran.out, kSession + "\n" + socket_ + "\n");
  const auto asked = daemon_->asked();
  ASSERT_EQ(asked.size(), 3u);
  const v1::OpenSessionRequest& reserve = asked[0].request.open_session();
  EXPECT_TRUE(reserve.reserve());
  EXPECT_EQ(asked[0].processes, 0u);
  const v1::OpenSessionRequest& bind = asked[1].request.open_session();
  EXPECT_FALSE(bind.reserve());
  EXPECT_EQ(bind.session_id(), SessionBytes());
  EXPECT_EQ(bind.task_id(), "t1");
  EXPECT_EQ(asked[1].processes, 1u);
  EXPECT_EQ(asked[2].request.close_session().session_id(), SessionBytes());
}

TEST_F(CommandLineTest, RunPassesItsChildsWordsOnUnchanged) {
  Answer(OpenAndClose);
  const Ran ran = Cli({"run", "--purpose", "test", "--", "printf", "%s|",
                       "[a-z]", "--json", "status", "", "--", "a b"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, "[a-z]|--json|status||--|a b|");
}

TEST_F(CommandLineTest, RunGivesItsChildTheStandardInput) {
  Answer(OpenAndClose);
  EXPECT_EQ(Cli({"run", "--purpose", "test", "--", "cat"}, "hello").out,
            "hello");
}

TEST_F(CommandLineTest, RunEndsAsItsChildWasEnded) {
  Answer(OpenAndClose);
  EXPECT_EQ(
      Cli({"run", "--purpose", "t", "--", "sh", "-c", "kill -9 $$"}).exit_code,
      128 + 9);
}

TEST_F(CommandLineTest, RunForwardsASignal) {
  Answer(OpenAndClose);
  // The child kills its parent, which passes the signal back.
  const std::string script =
      "trap 'echo caught; exit 7' TERM; kill -TERM $PPID; "
      "i=0; while [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done";
  const Ran ran = Cli({"run", "--purpose", "t", "--", "sh", "-c", script});
  EXPECT_EQ(ran.exit_code, 7);
  EXPECT_EQ(ran.out, "caught\n");
}

TEST_F(CommandLineTest, RunEndsACommandThatGotNoSession) {
  Answer([](const v1::Request& request) -> Result<v1::Response> {
    if (!request.has_open_session() || request.open_session().reserve()) {
      return OpenAndClose(request);
    }
    return Fail(ErrorCode::kWorkloadNotAllowed, "not this one");
  });
  const std::string trace = folder_ + "/ran";
  const Ran ran = Cli({"run", "--purpose", "t", "--", "sh", "-c",
                       "touch " + trace + "; sleep 60"});
  EXPECT_EQ(ran.exit_code, 10);
  EXPECT_FALSE(std::filesystem::exists(trace));
  EXPECT_THAT(ran.err, HasSubstr("not this one"));
  EXPECT_TRUE(daemon_->asked().back().request.has_close_session());
}

TEST_F(CommandLineTest, RunPassesASignalOnWhileTheSessionIsBeingOpened) {
  Answer([](const v1::Request& request) -> Result<v1::Response> {
    if (!request.open_session().session_id().empty()) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    return OpenAndClose(request);
  });
  const Ran ran =
      RunProgram({"timeout", "--foreground", "--preserve-status", "0.3",
                  BinFolder() + "/countersign", "--socket", socket_, "run",
                  "--purpose", "t", "--", "sleep", "60"});
  EXPECT_EQ(ran.exit_code, 128 + SIGTERM);
}

TEST_F(CommandLineTest, RunSaysThatThereIsNoSuchCommand) {
  Answer(OpenAndClose);
  const Ran ran = Cli({"run", "--purpose", "t", "--", "/no/such/program"});
  EXPECT_EQ(ran.exit_code, 127);
  EXPECT_TRUE(daemon_->asked().back().request.has_close_session());
}

TEST_F(CommandLineTest, DoctorListsItsChecks) {
  Answer([](const v1::Request&) -> Result<v1::Response> {
    v1::Response response;
    response.mutable_doctor()->add_checks()->set_name("config");
    v1::DoctorCheck& check = *response.mutable_doctor()->add_checks();
    check.set_name("tpm");
    check.set_ok(false);
    check.set_detail("/dev/tpmrm0 is not there");
    check.set_hint("Enable it in the firmware.");
    return response;
  });
  const Ran machine = Cli({"doctor", "--json"});
  EXPECT_EQ(machine.exit_code, 1);
  const json report = json::parse(machine.out);
  EXPECT_EQ(report.at("ok"), false);
  std::set<std::string> names;
  for (const json& check : report.at("checks")) {
    EXPECT_TRUE(names.insert(check.at("name")).second) << check;
  }
  const json last = report.at("checks").back();
  EXPECT_EQ(last.at("name"), "tpm");
  EXPECT_EQ(last.at("remedy"), "Enable it in the firmware.");
  const Ran plain = Cli({"doctor"});
  EXPECT_THAT(plain.out, HasSubstr("✗ tpm: /dev/tpmrm0"));
  EXPECT_THAT(plain.out, Not(HasSubstr("\x1b")));
}

TEST_F(CommandLineTest, DoctorNamesTheLineOfABadConfiguration) {  // A50
  const std::string config = folder_ + "/agent.json";
  std::ofstream(config) << "{\n  \"socket\": 7\n}\n";
  chmod(config.c_str(), 0600);
  const Ran ran = Cli({"--config", config, "doctor"});
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_THAT(ran.out, HasSubstr(config + ":2"));
}

TEST_F(CommandLineTest, VerifyAndExportWorkWithoutADaemon) {
  BundleMaker maker;
  const std::string trust = folder_ + "/trust";
  maker.WriteTrust(trust);
  std::ofstream(folder_ + "/bundle") << maker.Build().SerializeAsString();
  const Ran good = Cli({"verify", folder_ + "/bundle", "--trust", trust});
  EXPECT_EQ(good.exit_code, 0) << good.out << good.err;
  EXPECT_THAT(good.out, HasSubstr("✓ Device record"));
  EXPECT_THAT(good.out, HasSubstr("ada (uid 1000)"));
  EXPECT_THAT(good.err, HasSubstr("rests on the service's signature"));
  const Ran machine =
      Cli({"verify", folder_ + "/bundle", "--trust", trust, "--json"});
  EXPECT_EQ(machine.exit_code, 0);
  const json report = json::parse(machine.out);
  EXPECT_EQ(report.at("ok"), true);
  EXPECT_EQ(report.at("complete"), true);
  EXPECT_EQ(report.at("absent"), json::array());
  EXPECT_EQ(report.at("parts").size(), 17u);
  EXPECT_EQ(report.at("facts").at("decision_index"), 4);
  const Ran exported =
      Cli({"export", "--bundle", folder_ + "/bundle", "--format", "tpm2-tools",
           "--out", folder_ + "/quote"});
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.out, HasSubstr("tpm2_checkquote"));
}

TEST_F(CommandLineTest, VerifyTakesNoPartForTheWholeUnlessAsked) {
  BundleMaker maker;
  maker.WriteTrust(folder_ + "/trust");
  v1::EvidenceBundle bundle = maker.Build();
  bundle.clear_session_entry();
  const std::vector<std::string> verify{"verify", "-", "--trust",
                                        folder_ + "/trust"};
  auto arguments = verify;
  const Ran plain = Cli(arguments, bundle.SerializeAsString());
  EXPECT_EQ(plain.exit_code, 5);
  EXPECT_THAT(plain.err, HasSubstr("absent: session_entry, order"));
  arguments.emplace_back("--json");
  const Ran machine = Cli(arguments, bundle.SerializeAsString());
  EXPECT_EQ(machine.exit_code, 5);
  json report = json::parse(machine.out);
  EXPECT_EQ(report.at("ok"), false);
  EXPECT_EQ(report.at("complete"), false);
  EXPECT_EQ(report.at("error").at("reason"), "evidence_incomplete");
  arguments.emplace_back("--allow-partial");
  const Ran partial = Cli(arguments, bundle.SerializeAsString());
  EXPECT_EQ(partial.exit_code, 0);
  report = json::parse(partial.out);
  EXPECT_EQ(report.at("ok"), true);
  EXPECT_EQ(report.at("complete"), false);
  // What is there has to hold all the same.
  bundle.set_decision("deny");
  EXPECT_EQ(Cli(arguments, bundle.SerializeAsString()).exit_code, 5);
}

TEST_F(CommandLineTest, SaysOfWhatIsNoFileThatItIsNone) {
  BundleMaker().WriteTrust(folder_ + "/trust");
  const std::vector<std::vector<std::string>> commands{
      {"verify", "/dev/null", "--trust", folder_ + "/trust"},
      {"authorize", "--session", kSession, "--name", "a:b", "--resource", "x:y",
       "--purpose", "test", "--request-file", folder_}};
  for (const auto& command : commands) {
    const Ran ran = Cli(command);
    EXPECT_EQ(ran.exit_code, 2) << command[0];
    EXPECT_THAT(ran.err, HasSubstr("not a regular file")) << command[0];
    EXPECT_THAT(ran.err,
                HasSubstr(command[0] == "verify" ? "/dev/null" : folder_));
  }
}

TEST_F(CommandLineTest, FailsIfItsAnswerIsLost) {
  for (const char* command : {"completion bash", "--help", "--version"}) {
    const Ran ran = RunProgram(
        {"sh", "-c", BinFolder() + "/countersign " + command + " > /dev/full"});
    EXPECT_EQ(ran.exit_code, 1) << command;
    EXPECT_THAT(ran.err, HasSubstr("standard output")) << command;
  }
}

TEST_F(CommandLineTest, VerifyEndsWith5AndNamesTheReason) {
  BundleMaker maker;
  maker.WriteTrust(folder_ + "/trust");
  v1::EvidenceBundle bundle = maker.Build();
  bundle.set_decision("deny");
  const Ran ran = Cli({"verify", "-", "--trust", folder_ + "/trust", "--json"},
                      bundle.SerializeAsString());
  EXPECT_EQ(ran.exit_code, 5);
  const json report = json::parse(ran.out);
  EXPECT_EQ(report.at("ok"), false);
  EXPECT_EQ(report.at("error").at("reason"), "ledger_entry_mismatch");
  EXPECT_EQ(
      Cli({"verify", "-", "--trust", folder_ + "/trust"}, "garbage").exit_code,
      5);
  EXPECT_EQ(Cli({"verify", "-", "--trust", folder_ + "/none"}).exit_code, 2);
  EXPECT_EQ(Cli({"verify", folder_ + "/none", "--trust", folder_ + "/trust"})
                .exit_code,
            2);
}

}  // namespace
}  // namespace countersign::agent
