// countersign enroll: makes this device known to an authorization service.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxToken = 4096;
constexpr size_t kMaxCa = 256 * 1024;

struct Options {
  std::string service;
  std::string token_file;
  std::string ca_file;
};

Result<v1::Request> MakeRequest(const Options& options) {
  v1::Request request;
  v1::EnrollRequest& enroll = *request.mutable_enroll();
  enroll.set_service(options.service);
  if (!options.token_file.empty()) {
    CS_ASSIGN_OR_RETURN(const Bytes bytes,
                        ReadInput(options.token_file, kMaxToken));
    std::string token = AsString(bytes);
    while (!token.empty() &&
           isspace(static_cast<unsigned char>(token.back()))) {
      token.pop_back();
    }
    enroll.set_token(token);
  }
  if (!options.ca_file.empty()) {
    CS_ASSIGN_OR_RETURN(const Bytes pem, ReadInput(options.ca_file, kMaxCa));
    enroll.set_ca_pem(AsString(pem));
  }
  return request;
}

int Run(const Options& options, const Context& context) {
  auto request = MakeRequest(options);
  if (!request.has_value()) return context.output.Fail(request.error());
  const auto response = context.Ask(*std::move(request), kEnrollTimeout);
  if (!response.has_value()) return context.output.Fail(response.error());
  const v1::EnrollResponse& enrolled = response->enroll();
  const std::string device_id = ToHex(AsBytes(enrolled.device_id()));
  if (context.output.json()) {
    context.output.PrintJson({{"device_id", device_id},
                              {"service", options.service},
                              {"ek_class", enrolled.ek_class()},
                              {"ek_trust", enrolled.ek_trust()},
                              {"ledger_index", enrolled.ledger_index()}});
    return 0;
  }
  context.output.Field("Device", device_id);
  context.output.Field(
      "TPM", enrolled.ek_class() + ", trusted by " + enrolled.ek_trust());
  context.output.Field("Ledger",
                       "entry " + std::to_string(enrolled.ledger_index()));
  return 0;
}

}  // namespace

void AddEnroll(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "enroll", "Make this device known to an authorization service");
  command->footer(
      "sudo countersign enroll --service https://authz.example.com "
      "--token-file token.txt");
  const auto options = std::make_shared<Options>();
  command->add_option("--service", options->service, "URL of the service")
      ->required()
      ->type_name("URL");
  command
      ->add_option("--token-file", options->token_file,
                   "File with the enrollment token; - reads standard input")
      ->type_name("FILE");
  command
      ->add_option("--ca-file", options->ca_file,
                   "PEM file of the CA that signed the service's certificate")
      ->type_name("FILE");
  command->callback(
      [options, &context] { context.exit_code = Run(*options, context); });
}

}  // namespace countersign::agent
