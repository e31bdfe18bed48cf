// countersign run: a command with a session of its own, which ends with it.
//
// The session is reserved first, so that the child knows its id; the child is
// bound to it by its process handle once it is the command's program, so that
// the daemon judges what will use the session. The program is stopped until
// then: one that had started others before it was seen would be graded lower.
#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <memory>

#include "agent/cli/commands.h"
#include "agent/ipc/messages.h"
#include "platform/child_process.h"
#include "platform/command_host.h"

namespace countersign::agent {
namespace {

struct Options {
  std::string purpose;
  std::string task;
};

v1::Request OpenRequest(const Options& options) {
  v1::Request request;
  v1::OpenSessionRequest& open = *request.mutable_open_session();
  open.set_purpose(options.purpose);
  open.set_task_id(options.task);
  return request;
}

// Has the session opened for `child`. A signal that comes meanwhile is for the
// command, which is let go on to act on it.
Status Bind(const Options& options, const std::string& session_id,
            platform::HeldChild& child, platform::SignalRelay& relay,
            Client& client) {
  v1::Request request = OpenRequest(options);
  request.mutable_open_session()->set_session_id(session_id);
  CS_RETURN_IF_ERROR(
      client.Send(std::move(request), kActionTimeout, child.process()));
  CS_ASSIGN_OR_RETURN(
      bool answered,
      platform::WaitForEither(client.handle(), relay.handle(), kActionTimeout));
  while (!answered) {
    while (const auto signal = relay.Next()) child.Signal(*signal);
    child.Continue();
    CS_ASSIGN_OR_RETURN(answered,
                        platform::WaitForEither(client.handle(), relay.handle(),
                                                kActionTimeout));
  }
  CS_ASSIGN_OR_RETURN(const v1::Response bound, client.Receive(kActionTimeout));
  if (bound.has_error()) return tl::unexpected(FromErrorInfo(bound.error()));
  return {};
}

// The command's exit code; passes signals on until it ends.
Result<int> WaitFor(platform::HeldChild& child, platform::SignalRelay& relay) {
  while (true) {
    CS_ASSIGN_OR_RETURN(const bool ended, platform::WaitForEither(
                                              child.process(), relay.handle()));
    if (ended) return child.Wait();
    while (const auto signal = relay.Next()) child.Signal(*signal);
  }
}

void Close(const std::string& session_id, Client& client) {
  v1::Request request;
  request.mutable_close_session()->set_session_id(session_id);
  // The daemon sees the owner's end by itself; this only saves it the look.
  (void)client.Call(std::move(request), kQuickTimeout);
}

// Starts the command with the reserved session `id`, and waits for its end.
Result<int> RunInSession(const Options& options, const Context& context,
                         const std::string& id, Client& client) {
  CS_ASSIGN_OR_RETURN(const std::string socket, context.SocketPath());
  CS_ASSIGN_OR_RETURN(auto child, platform::HeldChild::Spawn(context.command));
  CS_ASSIGN_OR_RETURN(auto relay, platform::SignalRelay::Start());
  const std::array<std::pair<std::string, std::string>, 2> environment{
      {{kSocketVariable, socket}, {kSessionVariable, ToHex(AsBytes(id))}}};
  CS_RETURN_IF_ERROR(child.Release(environment));
  const Status bound = Bind(options, id, child, relay, client);
  // A command that was to have a session must not go on without one.
  if (!bound.has_value()) child.Signal(SIGTERM);
  child.Continue();
  auto exit_code = WaitFor(child, relay);
  if (!bound.has_value()) return tl::unexpected(bound.error());
  return exit_code;
}

Result<int> RunCommand(const Options& options, const Context& context) {
  CS_ASSIGN_OR_RETURN(Client client, context.Connect());
  v1::Request reserve = OpenRequest(options);
  reserve.mutable_open_session()->set_reserve(true);
  CS_ASSIGN_OR_RETURN(const v1::Response reserved,
                      client.Call(std::move(reserve), kQuickTimeout));
  const std::string id = reserved.open_session().session().session_id();
  auto exit_code = RunInSession(options, context, id, client);
  Close(id, client);
  return exit_code;
}

int Run(const Options& options, const Context& context) {
  if (context.command.empty()) {
    return context.output.FailUsage("There is no command to run.",
                                    "Put it after --, as in the example of "
                                    "countersign run --help.");
  }
  const auto exit_code = RunCommand(options, context);
  if (exit_code.has_value()) return *exit_code;
  const int failed = context.output.Fail(exit_code.error());
  // As env(1) and the shells have it.
  return exit_code.error().code == ErrorCode::kNotFound ? 127 : failed;
}

}  // namespace

void AddRun(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("run", "Run a command in a session of its own");
  command->footer("countersign run --purpose \"fix the build\" -- make test");
  const auto options = std::make_shared<Options>();
  command->add_option("--purpose", options->purpose, "What it is for")
      ->required()
      ->type_name("TEXT");
  command->add_option("--task", options->task, "Id of the task it belongs to")
      ->type_name("ID");
  command->callback(
      [options, &context] { context.exit_code = Run(*options, context); });
}

}  // namespace countersign::agent
