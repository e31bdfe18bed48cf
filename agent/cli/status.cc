// countersign status: what the daemon says of itself, never from a cache.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/session_json.h"

namespace countersign::agent {
namespace {

std::string StateOf(const v1::ErrorInfo& error, bool failed) {
  if (!failed) return "ok";
  return error.message() + " " + error.remedy();
}

// One word for programs.
const char* TpmWord(const v1::StatusResponse& status) {
  if (status.has_tpm_error()) return "failed";
  return status.tpm_not_opened() ? "not_opened" : "ok";
}

Json ErrorOrNull(bool has, const v1::ErrorInfo& error) {
  if (!has) return nullptr;
  return ErrorJson(FromErrorInfo(error));
}

void PrintAsJson(const v1::StatusResponse& status, const Output& output) {
  output.PrintJson(
      {{"version", status.version()},
       {"enrolled", status.enrolled()},
       {"device_id", ToHex(AsBytes(status.device_id()))},
       {"service", status.service()},
       {"ek_class", status.ek_class()},
       {"ek_trust", status.ek_trust()},
       {"uplink_connected", status.uplink_connected()},
       {"device_error",
        ErrorOrNull(status.has_device_error(), status.device_error())},
       {"tpm", TpmWord(status)},
       {"tpm_error", ErrorOrNull(status.has_tpm_error(), status.tpm_error())},
       {"service_error",
        ErrorOrNull(status.has_service_error(), status.service_error())},
       {"last_answer_ms", status.last_answer_ms()},
       {"login",
        status.has_login() ? LoginJson(status.login()) : Json(nullptr)},
       {"sessions", status.sessions()},
       {"actions", status.actions()},
       {"undelivered_batches", status.undelivered_batches()}});
}

void PrintForPeople(const v1::StatusResponse& status, const Output& output) {
  output.Field("Agent", status.version());
  if (status.enrolled()) {
    output.Field("Device", ToHex(AsBytes(status.device_id())) +
                               " (TPM: " + status.ek_class() + ", trusted by " +
                               status.ek_trust() + ")");
  } else {
    output.Field("Device", "not enrolled: countersign enroll --service URL");
  }
  if (status.has_device_error()) {
    output.Field("Refused", StateOf(status.device_error(), true));
  }
  output.Field("Service", status.service());
  output.Field("Network",
               status.uplink_connected()
                   ? StateOf(status.service_error(), status.has_service_error())
                   : "countersign-uplink is not running");
  output.Field("TPM",
               status.tpm_not_opened()
                   ? "not opened yet: countersign doctor looks at it"
                   : StateOf(status.tpm_error(), status.has_tpm_error()));
  output.Field("Answered", status.last_answer_ms() == 0
                               ? "never"
                               : TimeText(status.last_answer_ms()));
  if (status.has_login()) {
    const v1::LoginInfo& login = status.login();
    output.Field("Signed in", login.display_name() + " (" + login.method() +
                                  ") until " + TimeText(login.expires_at_ms()));
  }
  output.Field("Sessions", std::to_string(status.sessions()) + " of yours");
  output.Field("Actions", std::to_string(status.actions()) + " numbered, " +
                              std::to_string(status.undelivered_batches()) +
                              " batches not delivered yet");
}

int Run(const Context& context) {
  v1::Request request;
  request.mutable_status();
  const auto response = context.Ask(std::move(request), kQuickTimeout);
  if (!response.has_value()) return context.output.Fail(response.error());
  const v1::StatusResponse& status = response->status();
  if (context.output.json()) {
    PrintAsJson(status, context.output);
  } else {
    PrintForPeople(status, context.output);
  }
  if (!status.enrolled()) return ExitCode(ErrorCode::kNotEnrolled);
  return status.has_device_error()
             ? ExitCode(FromErrorInfo(status.device_error()).code)
             : 0;
}

}  // namespace

void AddStatus(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "status", "Show the device, the TPM and the service as they are now");
  command->footer("countersign status");
  command->callback([&context] { context.exit_code = Run(context); });
}

}  // namespace countersign::agent
