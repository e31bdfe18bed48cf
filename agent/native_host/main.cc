// countersign-native-host: what the browser starts to reach countersignd.
//
//   countersign-native-host [--socket PATH] [what the browser adds]
//
// The browser adds the calling extension's origin (Chromium) or the manifest's
// path and the add-on's id (Firefox). Any process can start this program with
// the same words, so they decide nothing and are not read here: the daemon
// judges the process that started us, and notes the words as a hint. Exit
// codes: 0 the browser is done, 1 it sent what has no meaning, or the machine
// is out of something.
//
// Whose daemon answers is the machine's to say, not the user's: --socket and
// COUNTERSIGN_SOCKET, which tests and the quickstart set, count for root alone.
// From anybody else they would lead the browser away from countersignd, as a
// manifest of the user's own would. (A user who gives the browser another file
// system still can; what such a daemon answers convinces no gateway.)
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/native_host/relay.h"
#include "platform/host.h"

namespace countersign::agent {
namespace {

constexpr char kDefaultSocket[] = "/run/countersign/agent.sock";

std::string SocketPath(int argc, char** argv) {
  if (platform::OwnUid() != 0) return kDefaultSocket;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--socket") return argv[i + 1];
  }
  const char* path = std::getenv("COUNTERSIGN_SOCKET");
  return path != nullptr && *path != '\0' ? path : kDefaultSocket;
}

Status Run(std::string socket_path) {
  CS_ASSIGN_OR_RETURN(auto browser, platform::PipePair::FromStandardStreams());
  CS_ASSIGN_OR_RETURN(const auto loop, platform::EventLoop::Create());
  Relay relay(*loop, std::move(browser), std::move(socket_path));
  CS_RETURN_IF_ERROR(relay.Start());
  loop->Run();
  return relay.ended();
}

}  // namespace
}  // namespace countersign::agent

int main(int argc, char** argv) {
  const countersign::Status status =
      countersign::agent::Run(countersign::agent::SocketPath(argc, argv));
  if (status.has_value()) return 0;
  std::fprintf(stderr, "countersign-native-host: %s %s\n",
               std::string(Message(status.error().code)).c_str(),
               status.error().detail.c_str());
  return 1;
}
