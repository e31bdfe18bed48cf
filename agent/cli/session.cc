// countersign session open|list|close: sessions of the calling shell, and what
// is open for this user.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/session_json.h"
#include "platform/command_host.h"

namespace countersign::agent {
namespace {

struct OpenOptions {
  std::string purpose;
  std::string task;
  uint32_t lifetime_s = 0;
};

// The caller of this command (a shell, an agent) owns the session: this
// process is gone in a moment.
Result<v1::Response> OpenForParent(const OpenOptions& options,
                                   const Context& context) {
  CS_ASSIGN_OR_RETURN(const platform::OwnedHandle owner,
                      platform::OpenParentProcess());
  v1::Request request;
  v1::OpenSessionRequest& open = *request.mutable_open_session();
  open.set_purpose(options.purpose);
  open.set_task_id(options.task);
  open.set_lifetime_s(options.lifetime_s);
  CS_ASSIGN_OR_RETURN(Client client, context.Connect());
  return client.Call(std::move(request), kActionTimeout, owner.get());
}

int RunOpen(const OpenOptions& options, const Context& context) {
  const auto response = OpenForParent(options, context);
  if (!response.has_value()) return context.output.Fail(response.error());
  const v1::SessionInfo& session = response->open_session().session();
  if (context.output.json()) {
    context.output.PrintJson(SessionJson(session));
  } else {
    context.output.Print(ToHex(AsBytes(session.session_id())));
    context.output.Note("Open until " + TimeText(session.expires_at_ms()) +
                        ", or until the calling process ends.");
  }
  return 0;
}

int RunList(const Context& context) {
  v1::Request request;
  request.mutable_list_sessions();
  const auto response = context.Ask(std::move(request), kQuickTimeout);
  if (!response.has_value()) return context.output.Fail(response.error());
  const auto& sessions = response->list_sessions().sessions();
  if (context.output.json()) {
    Json list = Json::array();
    for (const auto& session : sessions) list.push_back(SessionJson(session));
    context.output.PrintJson({{"sessions", list}});
    return 0;
  }
  for (const v1::SessionInfo& session : sessions) {
    context.output.Print(
        ToHex(AsBytes(session.session_id())) + "  " + session.state() +
        (session.end_reason().empty() ? ""
                                      : " (" + session.end_reason() + ")") +
        "  " + std::to_string(session.actions()) + " actions  pid " +
        std::to_string(session.owner_pid()) + "  " + session.purpose() +
        (session.has_login() ? "  (" + session.login().display_name() + ", " +
                                   session.login().method() + ")"
                             : ""));
  }
  if (sessions.empty()) context.output.Note("No session of yours is open.");
  return 0;
}

int RunClose(const std::string& text, const Context& context) {
  const auto id = SessionIdFrom(text);
  if (!id.has_value()) return context.output.Fail(id.error());
  v1::Request request;
  request.mutable_close_session()->set_session_id(*id);
  const auto response = context.Ask(std::move(request), kActionTimeout);
  if (!response.has_value()) return context.output.Fail(response.error());
  if (context.output.json()) {
    context.output.PrintJson(
        {{"session_id", ToHex(AsBytes(*id))}, {"state", "ended"}});
  }
  return 0;
}

void AddOpen(CLI::App& session, Context& context) {
  CLI::App* open =
      session.add_subcommand("open", "Open a session for the calling process");
  open->footer(
      "export COUNTERSIGN_SESSION=$(countersign session open --purpose demo)");
  const auto options = std::make_shared<OpenOptions>();
  open->add_option("--purpose", options->purpose, "What it is for")
      ->required()
      ->type_name("TEXT");
  open->add_option("--task", options->task, "Id of the task it belongs to")
      ->type_name("ID");
  open->add_option("--lifetime", options->lifetime_s,
                   "Seconds; the service may give less")
      ->check(CLI::Validator(
          [](const std::string& text) {  // On the wire 0 asks for the default.
            uint32_t seconds = 1;
            const bool none =
                CLI::detail::lexical_cast(text, seconds) && seconds == 0;
            return none ? "a session lasts at least 1 second" : std::string();
          },
          ""))
      ->type_name("S");
  open->callback(
      [options, &context] { context.exit_code = RunOpen(*options, context); });
}

void AddClose(CLI::App& session, Context& context) {
  CLI::App* close = session.add_subcommand("close", "End a session");
  close->footer("countersign session close --session $COUNTERSIGN_SESSION");
  const auto id = std::make_shared<std::string>();
  close->add_option("--session", *id, "Id of the session")
      ->envname(kSessionVariable)
      ->type_name("ID");
  close->callback(
      [id, &context] { context.exit_code = RunClose(*id, context); });
}

}  // namespace

void AddSession(CLI::App& app, Context& context) {
  CLI::App* session =
      app.add_subcommand("session", "Open, list and close sessions");
  session->footer("countersign session list");
  session->require_subcommand(1);
  AddOpen(*session, context);
  CLI::App* list =
      session->add_subcommand("list", "List the sessions of this user");
  list->footer("countersign session list --json");
  list->callback([&context] { context.exit_code = RunList(context); });
  AddClose(*session, context);
}

}  // namespace countersign::agent
