// countersign approve: the user's word on an action that waits for it.
//
// From a terminal of the user's own, outside the session that asks: the daemon
// refuses it from within (docs/decisions/0015-prompt-approvals.md).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"

namespace countersign::agent {
namespace {

struct Options {
  std::string digest;
  std::string session;
  bool deny = false;
  bool yes = false;
};

// One pending action with the session that it is asked in.
struct Waiting {
  v1::PendingApproval pending;
  v1::SessionInfo session;
};

std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

Result<std::vector<Waiting>> ReadWaiting(Client& client) {
  v1::Request request;
  request.mutable_list_sessions();
  CS_ASSIGN_OR_RETURN(const v1::Response response,
                      client.Call(std::move(request), kQuickTimeout));
  std::vector<Waiting> list;
  for (const auto& pending : response.list_sessions().pending()) {
    Waiting& one = list.emplace_back(Waiting{pending, {}});
    for (const auto& session : response.list_sessions().sessions()) {
      if (session.session_id() == pending.session_id()) one.session = session;
    }
  }
  return list;
}

Result<Waiting> Find(const Options& options, Client& client) {
  const auto digest = FromHex(options.digest);
  if (!digest.has_value() || digest->size() != sizeof(Sha256Digest)) {
    return Fail(ErrorCode::kBadRequest, "a request digest has 64 hex digits");
  }
  std::string session;
  if (!options.session.empty()) {
    CS_ASSIGN_OR_RETURN(session, SessionIdFrom(options.session));
  }
  CS_ASSIGN_OR_RETURN(const std::vector<Waiting> list, ReadWaiting(client));
  const Waiting* found = nullptr;
  for (const Waiting& one : list) {
    if (one.pending.request_digest() != AsString(*digest)) continue;
    if (!session.empty() && one.pending.session_id() != session) continue;
    if (found != nullptr) {
      return Fail(ErrorCode::kBadRequest,
                  "two sessions ask the same: say which with --session");
    }
    found = &one;
  }
  if (found == nullptr) {
    return Fail(ErrorCode::kNotFound,
                "no such action waits for approval, or no longer");
  }
  return *found;
}

Json PendingJson(const Waiting& one) {
  const v1::ActionRequest& request = one.pending.request();
  return {{"session_id", Hex(one.pending.session_id())},
          {"request_digest", Hex(one.pending.request_digest())},
          {"name", request.name()},
          {"resource", request.resource()},
          {"purpose", request.purpose()},
          {"task_id", request.task_id()},
          {"request_sha256", Hex(request.request_sha256())},
          {"grant_audience", request.grant_audience()},
          {"rule", one.pending.rule()},
          {"executable", one.session.executable()},
          {"owner_pid", one.session.owner_pid()},
          {"session_purpose", one.session.purpose()},
          {"asked_at_ms", one.pending.asked_at_ms()},
          {"left_s", one.pending.left_s()}};
}

void Show(const Waiting& one, const Output& output) {
  const v1::ActionRequest& request = one.pending.request();
  output.Field("Asks", one.session.executable() + ", process " +
                           std::to_string(one.session.owner_pid()));
  output.Field("For", one.session.purpose());
  output.Field("Session", Hex(one.pending.session_id()));
  output.Field("Action", request.name());
  output.Field("Resource", request.resource());
  output.Field("Purpose", request.purpose());
  output.Field("Task", request.task_id());
  output.Field("Content", request.request_sha256().empty()
                              ? "not bound"
                              : "SHA-256 " + Hex(request.request_sha256()));
  output.Field("Grant for", request.grant_audience());
  output.Field("Digest", Hex(one.pending.request_digest()));
  output.Field("Waits", std::to_string(one.pending.left_s()) + " s more");
}

int List(const Context& context) {
  const Output& output = context.output;
  auto client = context.Connect();
  if (!client.has_value()) return output.Fail(client.error());
  const auto list = ReadWaiting(*client);
  if (!list.has_value()) return output.Fail(list.error());
  if (output.json()) {
    Json pending = Json::array();
    for (const Waiting& one : *list) pending.push_back(PendingJson(one));
    output.PrintJson({{"pending", pending}});
    return 0;
  }
  for (const Waiting& one : *list) {
    if (&one != list->data()) output.Print("");
    Show(one, output);
  }
  if (list->empty()) output.Note("No action of yours waits for approval.");
  return 0;
}

// Only a plain yes is one.
bool AskAtTerminal() {
  std::fputs("Approve this action, once? [y/N] ", stderr);
  std::array<char, 16> line{};
  if (std::fgets(line.data(), line.size(), stdin) == nullptr) return false;
  const std::string answer(line.data());
  return answer == "y\n" || answer == "Y\n" || answer == "yes\n";
}

Result<v1::ApproveResponse> Tell(const Waiting& one, bool approve,
                                 Client& client) {
  v1::Request request;
  v1::ApproveRequest& word = *request.mutable_approve();
  word.set_session_id(one.pending.session_id());
  word.set_request_digest(one.pending.request_digest());
  word.set_approve(approve);
  CS_ASSIGN_OR_RETURN(const v1::Response response,
                      client.Call(std::move(request), kQuickTimeout));
  return response.approve();
}

int Run(const Options& options, const Context& context) {
  const Output& output = context.output;
  if (options.digest.empty()) return List(context);
  const bool asks = !options.yes && !options.deny;
  if (asks && (output.json() || ::isatty(STDIN_FILENO) != 1)) {
    return output.FailUsage("There is no terminal to ask at.",
                            "Give --yes or --deny.");
  }
  auto client = context.Connect();
  if (!client.has_value()) return output.Fail(client.error());
  const auto one = Find(options, *client);
  if (!one.has_value()) return output.Fail(one.error());
  if (!output.json()) Show(*one, output);
  const bool approve = asks ? AskAtTerminal() : !options.deny;
  const auto told = Tell(*one, approve, *client);
  if (!told.has_value()) return output.Fail(told.error());
  if (output.json()) {
    output.PrintJson({{"session_id", Hex(told->decided().session_id())},
                      {"request_digest", Hex(told->decided().request_digest())},
                      {"approved", approve},
                      {"reference", told->reference()},
                      {"left_s", told->decided().left_s()}});
  } else if (approve) {
    output.Note("Approved once, for the next " +
                std::to_string(told->decided().left_s()) + " s.");
  } else {
    output.Note("Refused.");
  }
  return 0;
}

}  // namespace

void AddApprove(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "approve", "Approve or refuse an action that waits for your word");
  command->footer("countersign approve REQUEST_DIGEST");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("digest", options->digest,
                   "Digest of the request; none: list what waits")
      ->type_name("DIGEST");
  command
      ->add_option("--session", options->session,
                   "Id of the session that asks, if two ask the same")
      ->type_name("ID");
  CLI::Option* yes =
      command->add_flag("--yes", options->yes, "Approve without asking back");
  command->add_flag("--deny", options->deny, "Refuse it")->excludes(yes);
  command->callback(
      [options, &context] { context.exit_code = Run(*options, context); });
}

}  // namespace countersign::agent
