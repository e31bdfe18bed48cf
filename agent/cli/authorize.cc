// countersign authorize: asks whether one action is permitted, with evidence.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "agent/cli/commands.h"
#include "attest/base/digest.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxRequestFile = 64u << 20;

struct Options {
  std::string session;
  std::string task;
  std::string name;
  std::string resource;
  std::string purpose;
  std::string audience;
  std::string request_file;
  std::string bundle_out;
  std::string grant_out;
  std::string receipt_out;
};

Result<v1::Request> MakeRequest(const Options& options) {
  v1::Request request;
  v1::AuthorizeRequest& authorize = *request.mutable_authorize();
  CS_ASSIGN_OR_RETURN(*authorize.mutable_session_id(),
                      SessionIdFrom(options.session));
  authorize.set_task_id(options.task);
  authorize.set_name(options.name);
  authorize.set_resource(options.resource);
  authorize.set_purpose(options.purpose);
  authorize.set_grant_audience(options.audience);
  authorize.set_want_bundle(!options.bundle_out.empty());
  if (!options.request_file.empty()) {
    CS_ASSIGN_OR_RETURN(const Bytes body,
                        ReadInput(options.request_file, kMaxRequestFile));
    authorize.set_request_sha256(AsString(Sha256(body)));
  }
  return request;
}

// What would otherwise fail once the action is granted and in the ledger: the
// exit code of a refusal before it is asked for.
std::optional<int> RefuseOutputs(const Options& options, const Output& output) {
  if (!options.grant_out.empty() && options.audience.empty()) {
    return output.FailUsage("A grant is for one server: --grant-out needs it.",
                            "Name the server with --audience.");
  }
  std::set<std::filesystem::path> taken;
  for (const std::string& path :
       {options.bundle_out, options.grant_out, options.receipt_out}) {
    if (path.empty()) continue;
    if (!taken.insert(std::filesystem::path(path).lexically_normal()).second) {
      return output.FailUsage("Two outputs cannot both go to '" + path + "'.",
                              "Give each a file of its own.");
    }
    if (path == "-" && output.json()) {
      return output.FailUsage("Standard output takes the JSON answer already.",
                              "Name a file, or leave out --json.");
    }
    const Status possible = CheckOutput(path);
    if (!possible.has_value()) return output.Fail(possible.error());
  }
  return std::nullopt;
}

// Writes what it can; the first error.
Status WriteParts(const Options& options,
                  const v1::AuthorizeResponse& response) {
  struct Part {
    const std::string& path;
    const std::string& bytes;
    const char* what;
  };
  Status first;
  for (const Part& part :
       {Part{options.bundle_out, response.bundle(), "bundle"},
        Part{options.grant_out, response.grant(), "grant"},
        Part{options.receipt_out, response.receipt(), "receipt"}}) {
    if (part.path.empty()) continue;
    const Status written =
        part.bytes.empty()
            ? Fail(ErrorCode::kNotFound,
                   "the answer holds no " + std::string(part.what))
            : WriteOutput(part.path, part.bytes);
    if (first.has_value()) first = written;
  }
  return first;
}

Json AnswerJson(const v1::AuthorizeResponse& response) {
  return {{"decision", response.decision()},
          {"reason", response.has_reason()
                         ? ErrorJson(FromErrorInfo(response.reason()))
                         : Json(nullptr)},
          {"rule", response.rule()},
          {"policy_version", response.policy_version()},
          {"approval_grade", response.approval_grade()},
          {"action_digest", ToHex(AsBytes(response.action_digest()))},
          {"request_digest", ToHex(AsBytes(response.request_digest()))},
          {"sequence", response.sequence()},
          {"ledger_index", response.ledger_index()},
          {"grant", response.grant()},
          {"grant_jti", response.grant_jti()},
          {"grant_expires_s", response.grant_expires_s()},
          {"receipt", response.receipt()}};
}

// To stderr: stdout may be where a token goes.
void Describe(const v1::AuthorizeResponse& response, const Output& output) {
  output.Note("decision: " + response.decision() +
              (response.rule().empty() ? "" : " by rule " + response.rule()));
  output.Note("action:   " + ToHex(AsBytes(response.action_digest())) +
              ", number " + std::to_string(response.sequence()));
  output.Note("ledger:   entry " + std::to_string(response.ledger_index()));
  if (response.grant_expires_s() != 0) {
    output.Note("grant:    until " +
                TimeText(response.grant_expires_s() * 1000));
  }
  if (!response.approval_grade().empty()) {
    output.Note("approval: '" + response.approval_grade() + "' is needed");
  }
}

// A refusal that is an answer: exit code by its reason, else by the decision.
int ExitCodeOf(const v1::AuthorizeResponse& response, const Output& output) {
  if (response.decision() == "permit") return 0;
  Error reason{response.decision() == "approval_required"
                   ? ErrorCode::kApprovalRequired
                   : ErrorCode::kPolicyDenied,
               ""};
  if (response.has_reason()) reason = FromErrorInfo(response.reason());
  return output.json() ? ExitCode(reason.code) : output.Fail(reason);
}

int Run(const Options& options, const Context& context) {
  const Output& output = context.output;
  if (const auto refused = RefuseOutputs(options, output)) return *refused;
  auto request = MakeRequest(options);
  if (!request.has_value()) return output.Fail(request.error());
  const auto response = context.Ask(*std::move(request), kActionTimeout);
  if (!response.has_value()) return output.Fail(response.error());
  const v1::AuthorizeResponse& answer = response->authorize();
  Status written;
  if (answer.decision() == "permit") written = WriteParts(options, answer);
  // Said even if a file could not be written: the action is in the ledger.
  if (output.json()) {
    Json json = AnswerJson(answer);
    if (!written.has_value()) json["error"] = ErrorJson(written.error());
    output.PrintJson(json);
  } else {
    Describe(answer, output);
    if (!written.has_value()) (void)output.Fail(written.error());
  }
  return written.has_value() ? ExitCodeOf(answer, output)
                             : ExitCode(written.error().code);
}

void AddOutputs(CLI::App& command, Options& options) {
  command
      .add_option("--bundle-out", options.bundle_out,
                  "Write the evidence here, for verify and export")
      ->type_name("FILE");
  command
      .add_option("--grant-out", options.grant_out,
                  "Write the grant here; needs --audience")
      ->type_name("FILE");
  command
      .add_option("--receipt-out", options.receipt_out,
                  "Write the receipt here")
      ->type_name("FILE");
}

}  // namespace

void AddAuthorize(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "authorize", "Ask whether an action is permitted, and get the proof");
  command->footer(
      "countersign authorize --name http:POST --resource "
      "https://api.example.com/v1/orders \\\n    --purpose \"place order 17\" "
      "--audience https://api.example.com --grant-out grant.jwt");
  const auto options = std::make_shared<Options>();
  command->add_option("--session", options->session, "Id of the session")
      ->envname(kSessionVariable)
      ->type_name("ID");
  command->add_option("--name", options->name, "What is done, e.g. http:POST")
      ->required()
      ->type_name("NAME");
  command->add_option("--resource", options->resource, "To what")
      ->required()
      ->type_name("URI");
  command->add_option("--purpose", options->purpose, "What it is for")
      ->required()
      ->type_name("TEXT");
  command->add_option("--task", options->task, "Id of the task it belongs to")
      ->type_name("ID");
  command
      ->add_option("--request-file", options->request_file,
                   "The request's body, whose SHA-256 is bound; - reads stdin")
      ->type_name("FILE");
  command
      ->add_option("--audience", options->audience,
                   "Server that the grant is for; none: no grant")
      ->type_name("URI");
  AddOutputs(*command, *options);
  command->callback(
      [options, &context] { context.exit_code = Run(*options, context); });
}

}  // namespace countersign::agent
