// countersign dpop: proof of possession of the session's key for one request
// (RFC 9449), to send beside a grant.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxGrant = 64 * 1024;

struct Options {
  std::string session;
  std::string method;
  std::string uri;
  std::string grant_file;
  std::string nonce;
};

Result<v1::Request> MakeRequest(const Options& options) {
  v1::Request request;
  v1::SignDpopRequest& dpop = *request.mutable_sign_dpop();
  CS_ASSIGN_OR_RETURN(*dpop.mutable_session_id(),
                      SessionIdFrom(options.session));
  dpop.set_method(options.method);
  dpop.set_uri(options.uri);
  dpop.set_server_nonce(options.nonce);
  if (!options.grant_file.empty()) {
    CS_ASSIGN_OR_RETURN(const Bytes grant,
                        ReadInput(options.grant_file, kMaxGrant));
    std::string text = AsString(grant);
    while (text.ends_with('\n')) text.pop_back();
    dpop.set_grant(text);
  }
  return request;
}

int Run(const Options& options, const Context& context) {
  auto request = MakeRequest(options);
  if (!request.has_value()) return context.output.Fail(request.error());
  const auto response = context.Ask(*std::move(request), kActionTimeout);
  if (!response.has_value()) return context.output.Fail(response.error());
  const std::string& proof = response->sign_dpop().proof();
  if (context.output.json()) {
    context.output.PrintJson(
        {{"proof", proof},
         {"client_attestation", response->sign_dpop().client_attestation()}});
  } else {
    context.output.Print(proof);
  }
  return 0;
}

}  // namespace

void AddDpop(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "dpop", "Make the DPoP proof that goes with a grant and one request");
  command->footer(
      "curl -H \"Authorization: DPoP $(cat grant.jwt)\" \\\n    -H \"DPoP: "
      "$(countersign dpop --method GET --uri $URL --grant-file grant.jwt)\" "
      "$URL");
  const auto options = std::make_shared<Options>();
  command->add_option("--session", options->session, "Id of the session")
      ->envname(kSessionVariable)
      ->type_name("ID");
  command->add_option("--method", options->method, "HTTP method, e.g. GET")
      ->required()
      ->type_name("M");
  command->add_option("--uri", options->uri, "URI of the request")
      ->required()
      ->type_name("U");
  command
      ->add_option("--grant-file", options->grant_file,
                   "The grant that is presented; - reads stdin. None: for "
                   "the service's own token endpoint")
      ->type_name("FILE");
  command
      ->add_option("--nonce", options->nonce,
                   "The server's DPoP-Nonce, if it gave one")
      ->type_name("N");
  command->callback(
      [options, &context] { context.exit_code = Run(*options, context); });
}

}  // namespace countersign::agent
