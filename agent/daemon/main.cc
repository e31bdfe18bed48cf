// countersignd: the signer. Owns the TPM and talks to local clients; has no
// network. The one place that names the concrete machine.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/daemon/daemon.h"
#include "agent/daemon/lazy_tpm.h"
#include "agent/ipc/config.h"
#include "attest/base/clock.h"
#include "attest/proto/silence.h"
#include "platform/esys_tpm.h"
#include "platform/host.h"
#include "platform/service_host.h"

namespace countersign::agent {
namespace {

constexpr char kHelp[] =
    R"(countersignd signs actions of AI agents and browsers with this machine's TPM.

  countersignd
  countersignd --config /etc/countersign/agent.json

Usually started by systemd (countersignd.service). It listens on a local
socket for clients (countersign, the browser's native host) and on another one
for countersign-uplink, which carries its requests to the authorization
service. It has no network access itself.

Options
  --config FILE     configuration (default /etc/countersign/agent.json; without
                    that file the built-in defaults are used)
  --state-dir DIR   keys, journal and enrollment (default /var/lib/countersign;
                    must be mode 0700 and belong to this account)
  --socket PATH     where clients connect (default /run/countersign/agent.sock)
  --version         print the version
  --help            print this text

Signals
  SIGHUP            read the configuration again; a bad file changes nothing
  SIGTERM, SIGINT   finish what is under way, at most 20 seconds, and stop

Diagnosis: countersign status, countersign doctor
)";

constexpr std::chrono::milliseconds kDrainTime{20'000};
constexpr uint32_t kAgentSocketMode = 0666;   // The kernel says who connects.
constexpr uint32_t kUplinkSocketMode = 0666;  // Only the uplink's uid stays.
constexpr int kUsageError = 2;

struct Options {
  std::optional<std::string> config;
  std::optional<std::string> state_dir;
  std::optional<std::string> socket;
};

void Print(const std::string& line) {
  std::fprintf(stderr, "countersignd: %s\n", line.c_str());
}

int Give(const Error& error) {
  Print(std::string(Message(error.code)) +
        (error.detail.empty() ? "" : " " + error.detail));
  Print("what to do: " + std::string(Remedy(error.code)));
  return ExitCode(error.code);
}

// Nothing when the program should stop with *exit_code.
std::optional<Options> ParseOptions(int argc, char** argv, int* exit_code) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help" || name == "-h") {
      std::fputs(kHelp, stdout);
      *exit_code = 0;
      return std::nullopt;
    }
    if (name == "--version") {
      std::puts("countersignd " COUNTERSIGN_VERSION);
      *exit_code = 0;
      return std::nullopt;
    }
    std::optional<std::string>* target = name == "--config" ? &options.config
                                         : name == "--state-dir"
                                             ? &options.state_dir
                                         : name == "--socket" ? &options.socket
                                                              : nullptr;
    if (target == nullptr || i + 1 == argc) {
      std::fprintf(stderr,
                   target == nullptr ? "countersignd: unknown option %s\n"
                                     : "countersignd: %s needs a value\n",
                   argv[i]);
      std::fputs("Try: countersignd --help\n", stderr);
      *exit_code = kUsageError;
      return std::nullopt;
    }
    *target = argv[++i];
  }
  return options;
}

Result<AgentConfig> ReadConfig(const Options& options) {
  CS_ASSIGN_OR_RETURN(
      AgentConfig config,
      LoadAgentConfig(options.config.value_or(kDefaultConfigPath),
                      options.config.has_value()));
  if (options.state_dir.has_value()) config.state_dir = *options.state_dir;
  if (options.socket.has_value()) config.socket = *options.socket;
  return config;
}

Result<platform::LocalListener> ListenerFor(platform::ServiceHost& host,
                                            const char* name,
                                            const std::string& path,
                                            uint32_t mode) {
  platform::OwnedHandle passed = host.TakeSocket(name);
  if (passed.valid()) return platform::LocalListener::Adopt(std::move(passed));
  return platform::LocalListener::Listen(path, mode);
}

Status Serve(const Options& options) {
  CS_ASSIGN_OR_RETURN(const auto loop, platform::EventLoop::Create());
  CS_ASSIGN_OR_RETURN(const auto host, platform::ServiceHost::Create());
  CS_ASSIGN_OR_RETURN(const AgentConfig config, ReadConfig(options));
  CS_ASSIGN_OR_RETURN(
      auto uplink,
      ListenerFor(*host, "uplink", config.uplink_socket, kUplinkSocketMode));
  CS_ASSIGN_OR_RETURN(
      auto agent, ListenerFor(*host, "agent", config.socket, kAgentSocketMode));
  CS_ASSIGN_OR_RETURN(const auto store,
                      platform::StateStore::Open(config.state_dir));
  const SystemClock clock;
  LazyTpm tpm(
      [tcti = config.tpm.tcti] { return platform::EsysTpm::Open(tcti); });
  CS_ASSIGN_OR_RETURN(
      const auto daemon,
      Daemon::Create({*loop, clock, tpm, *store}, config, Print));
  CS_RETURN_IF_ERROR(daemon->Listen(std::move(agent), std::move(uplink)));
  CS_RETURN_IF_ERROR(host->Watch(
      *loop,
      [&] {
        host->NotifyStopping();
        daemon->Drain(kDrainTime, [&] { loop->Stop(); });
      },
      [&] { daemon->Reconfigure(ReadConfig(options)); }));
  host->NotifyReady();
  Print("ready; clients connect to " + config.socket);
  loop->Run();
  return {};
}

int Main(int argc, char** argv) {
  int exit_code = 0;
  const auto options = ParseOptions(argc, argv, &exit_code);
  if (!options.has_value()) return exit_code;
  SilenceProtobufLog();
  platform::SilenceTssLog();
  platform::KeepHeapUntilTrimmed();
  platform::RaiseHandleLimit();
  const Status served = Serve(*options);
  return served.has_value() ? 0 : Give(served.error());
}

}  // namespace
}  // namespace countersign::agent

int main(int argc, char** argv) {
  try {
    return countersign::agent::Main(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "countersignd: %s\n", e.what());
    return 1;
  }
}
