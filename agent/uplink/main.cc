// countersign-uplink: the part of the agent that talks to the network.
//
// Runs under an account of its own, without the TPM and without any key. It
// carries requests of countersignd to the authorization service and answers
// back; it can delay them and never forge one.
#include <getopt.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "agent/ipc/config.h"
#include "agent/uplink/channel.h"
#include "attest/base/text.h"
#include "attest/proto/silence.h"
#include "platform/host.h"
#include "platform/service_host.h"
#include "platform/trusted_file.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxCaFile = 256 * 1024;
constexpr char kHelp[] =
    "countersign-uplink --config /etc/countersign/agent.json\n\n"
    "Carries the agent's requests to the authorization service.\n\n"
    "  --config FILE    the agent's configuration\n"
    "  --socket PATH    countersignd's socket for the uplink\n"
    "  --state-dir DIR  taken like every program does; the uplink keeps none\n"
    "  --version, --help\n";

struct Flags {
  std::string config = kDefaultConfigPath;
  bool config_given = false;
  std::string socket;
};

void Log(const std::string& line) {
  std::fprintf(stderr, "countersign-uplink: %s\n",
               Printable(line, 1024).c_str());
}

void Log(const Error& error) {
  Log(std::string(Message(error.code)) + " " + error.detail + ". " +
      std::string(Remedy(error.code)));
}

Result<ChannelOptions> LoadOptions(const Flags& flags) {
  CS_ASSIGN_OR_RETURN(const AgentConfig config,
                      LoadAgentConfig(flags.config, flags.config_given));
  for (const std::string& warning : config.warnings) Log(warning);
  ChannelOptions options;
  options.socket = flags.socket.empty() ? config.uplink_socket : flags.socket;
  options.transport.proxy = config.service.proxy;
  if (!config.service.ca_file.empty()) {
    CS_ASSIGN_OR_RETURN(
        const Bytes pem,
        platform::ReadTrustedFile(config.service.ca_file, kMaxCaFile));
    options.transport.ca_pem = AsString(pem);
  }
  return options;
}

// Runs until the service manager says stop.
Status Run(const Flags& flags) {
  CS_ASSIGN_OR_RETURN(auto host, platform::ServiceHost::Create());
  CS_ASSIGN_OR_RETURN(auto loop, platform::EventLoop::Create());
  std::unique_ptr<Channel> channel;
  const auto start = [&]() -> Status {
    CS_ASSIGN_OR_RETURN(ChannelOptions options, LoadOptions(flags));
    if (channel && channel->socket() == options.socket) {
      return channel->Renew(std::move(options.transport));
    }
    channel.reset();
    channel = std::make_unique<Channel>(
        *loop, std::move(options), [](const std::string& line) { Log(line); });
    channel->Start();
    return {};
  };
  CS_RETURN_IF_ERROR(start());
  CS_RETURN_IF_ERROR(host->Watch(
      *loop, [&] { loop->Stop(); },
      [&] {
        if (const Status status = start(); !status.has_value()) {
          Log("kept the last good configuration");
          Log(status.error());
        } else {
          Log("the configuration was read again");
        }
      }));
  host->NotifyReady();
  loop->Run();
  host->NotifyStopping();
  // Nothing is left to save, and a name server that hangs must not hold up
  // the end (libcurl waits for its resolver).
  std::_Exit(0);
}

// The exit code, or -1 to go on.
int ParseFlags(int argc, char** argv, Flags& flags) {
  const std::array<option, 6> options{
      option{"config", required_argument, nullptr, 'c'},
      option{"socket", required_argument, nullptr, 's'},
      option{"state-dir", required_argument, nullptr, 'd'},
      option{"version", no_argument, nullptr, 'v'},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0}};
  int given = 0;
  while ((given = getopt_long(argc, argv, "", options.data(), nullptr)) != -1) {
    switch (given) {
      case 'c':
        flags.config = optarg;
        flags.config_given = true;
        break;
      case 's':
        flags.socket = optarg;
        break;
      case 'd':
        break;
      case 'v':
        std::puts("countersign-uplink " COUNTERSIGN_VERSION);
        return 0;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        std::fputs(kHelp, stderr);
        return 2;
    }
  }
  if (optind == argc) return -1;
  std::fputs(kHelp, stderr);
  return 2;
}

}  // namespace
}  // namespace countersign::agent

int main(int argc, char** argv) {
  using namespace countersign;
  SilenceProtobufLog();
  platform::PreferSmallHeap();
  agent::Flags flags;
  const int exit_code = agent::ParseFlags(argc, argv, flags);
  if (exit_code >= 0) return exit_code;
  const Status status = agent::Run(flags);
  if (status.has_value()) return 0;
  agent::Log(status.error());
  return ExitCode(status.error().code);
}
