#include "tests/agent/daemon/program_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/agent/daemon/daemon_rig.h"

namespace countersign::agent {
namespace {

constexpr std::chrono::seconds kPatience{30};

}  // namespace

ProgramRig::ProgramRig(const std::string& tpm_options) {
  char name[] = "/tmp/countersign-program-XXXXXX";
  folder = ::mkdtemp(name);
  ::chmod(folder.c_str(), 0711);  // Other users may reach the socket.
  socket = folder + "/agent.sock";
  ::mkdir((folder + "/state").c_str(), 0700);
  const Bytes log = tpm.event_log();
  std::ofstream(folder + "/event_log", std::ios::binary)
      .write(reinterpret_cast<const char*>(log.data()),
             static_cast<std::streamsize>(log.size()));
  const nlohmann::json config = {
      {"state_dir", folder + "/state"},
      {"socket", socket},
      {"uplink_socket", folder + "/uplink.sock"},
      {"tpm",
       {{"tcti", tpm_options.empty() ? tpm.tcti() : tpm.tcti_with(tpm_options)},
        {"event_log", folder + "/event_log"}}}};
  std::ofstream(config_path()) << config.dump(1);
  uplink = std::make_unique<TestUplink>(folder + "/uplink.sock", service);
  uplink->Start();
  Start();
}

ProgramRig::~ProgramRig() {
  if (pid_ != 0) Kill(SIGKILL);
  uplink->Stop();
  std::filesystem::remove_all(folder);
}

std::string ProgramRig::Program(const std::string& name) {
  const char* folder = ::getenv("COUNTERSIGN_BIN");
  return std::string(folder == nullptr ? "build/dev/bin" : folder) + "/" + name;
}

void ProgramRig::Start() {
  const std::string program = Program("countersignd");
  const std::string config = config_path();
  const std::string log_path = folder + "/log";
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log =
        ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(log, 1);
    ::dup2(log, 2);
    ::execl(program.c_str(), program.c_str(), "--config", config.c_str(),
            nullptr);
    ::_exit(127);
  }
  if (!Eventually([this] { return Connect().has_value(); })) {
    std::fprintf(stderr, "countersignd did not start:\n%s", log().c_str());
    std::abort();
  }
}

void ProgramRig::Kill(int signal) {
  ::kill(pid_, signal);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  pid_ = 0;
}

std::optional<Client> ProgramRig::Connect() const {
  auto client = Client::Connect(socket, kPatience);
  if (!client.has_value()) return std::nullopt;
  return *std::move(client);
}

Result<v1::EnrollResponse> ProgramRig::Enroll() {
  v1::Request request;
  request.mutable_enroll()->set_service(TestService::kIssuer);
  request.mutable_enroll()->set_token(service.token());
  Result<v1::Response> response = Fail(ErrorCode::kUplinkDown);
  // The uplink may still be on its way to the socket.
  (void)Eventually([&] {
    auto client = Connect();
    if (!client.has_value()) return false;
    response = client->Call(request, kPatience);
    return response.has_value() ||
           response.error().code != ErrorCode::kUplinkDown;
  });
  if (!response.has_value()) return tl::unexpected(response.error());
  return response->enroll();
}

Result<std::string> ProgramRig::OpenSession(Client& client) const {
  CS_ASSIGN_OR_RETURN(const v1::Response response,
                      client.Call(OpenSessionAsk(), kPatience));
  return response.open_session().session().session_id();
}

Ran ProgramRig::Shell(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
  char buffer[4096];
  while (const size_t n = ::fread(buffer, 1, sizeof(buffer), pipe)) {
    ran.output.append(buffer, n);
  }
  const int status = ::pclose(pipe);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

Ran ProgramRig::Cli(const std::string& arguments) const {
  return Shell(Program("countersign") + " --config " + config_path() + " " +
               arguments);
}

std::string ProgramRig::log() const {
  std::ifstream file(folder + "/log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace countersign::agent
