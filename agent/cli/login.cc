// countersign login, countersign logout: the user at the identity provider.
//
// Login is OAuth for a native app (RFC 8252): the system's browser, PKCE S256,
// a free port of the loopback interface. The code goes to the
// service, which redeems it: no token is ever here.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/cli/commands.h"
#include "agent/cli/login_redirect.h"
#include "agent/cli/session_json.h"
#include "platform/system_browser.h"

namespace countersign::agent {
namespace {

// As long as the service's challenge lives.
constexpr std::chrono::minutes kUserTimeout{10};

struct Options {
  bool device_code = false;
  bool no_browser = false;
};

using Clock = std::chrono::steady_clock;

int Done(const v1::LoginInfo& login, const Context& context) {
  if (context.output.json()) {
    context.output.PrintJson(LoginJson(login));
    return 0;
  }
  context.output.Note("Signed in" +
                      (login.display_name().empty()
                           ? std::string()
                           : " as " + login.display_name()) +
                      " until " + TimeText(login.expires_at_ms()) + ".");
  return 0;
}

Result<v1::LoginResponse> Ask(Client& client, v1::LoginRequest login) {
  v1::Request request;
  *request.mutable_login() = std::move(login);
  CS_ASSIGN_OR_RETURN(const v1::Response response,
                      client.Call(std::move(request), kActionTimeout));
  return response.login();
}

void ShowUrl(const std::string& url, const Options& options,
             const Output& output) {
  const bool opened =
      !options.no_browser && platform::OpenInBrowser(url).has_value();
  output.Note(opened ? "Sign in with your browser. If it does not open, go to:"
                     : "Sign in with a browser of this machine, at:");
  // As it is: a URL that was cut would lead nowhere.
  std::fprintf(stderr, "%s\n", url.c_str());
  if (!opened) {
    output.Note("Without a browser here: countersign login --device-code.");
  }
}

Result<v1::LoginInfo> WithBrowser(const Options& options,
                                  const Context& context) {
  CS_ASSIGN_OR_RETURN(Client client, context.Connect());
  CS_ASSIGN_OR_RETURN(const v1::LoginResponse begun, Ask(client, {}));
  CS_ASSIGN_OR_RETURN(LoginRedirect redirect,
                      LoginRedirect::Open(begun.provider(), begun.nonce()));
  ShowUrl(redirect.authorization_url(), options, context.output);
  v1::LoginRequest finish;
  CS_ASSIGN_OR_RETURN(std::string code,
                      redirect.WaitForCode(Clock::now() + kUserTimeout));
  finish.set_code(std::move(code));
  finish.set_code_verifier(redirect.code_verifier());
  finish.set_redirect_uri(redirect.redirect_uri());
  CS_ASSIGN_OR_RETURN(const v1::LoginResponse finished,
                      Ask(client, std::move(finish)));
  return finished.login();
}

Result<v1::LoginInfo> WithDeviceCode(const Context& context) {
  CS_ASSIGN_OR_RETURN(Client client, context.Connect());
  v1::LoginRequest begin;
  begin.set_device_code(true);
  CS_ASSIGN_OR_RETURN(v1::LoginResponse answer, Ask(client, std::move(begin)));
  const v1::DevicePrompt prompt = answer.prompt();
  context.output.Note("On any device, go to " + prompt.verification_uri() +
                      " and enter the code " + prompt.user_code() + ".");
  if (!prompt.verification_uri_complete().empty()) {
    context.output.Note("Or: " + prompt.verification_uri_complete());
  }
  const auto deadline = Clock::now() + std::chrono::seconds(prompt.expires_s());
  while (answer.has_prompt()) {
    if (Clock::now() >= deadline) {
      return Fail(ErrorCode::kLoginUnknown, "the code has expired");
    }
    std::this_thread::sleep_for(std::chrono::seconds(
        std::clamp<uint32_t>(answer.prompt().interval_s(), 1, 300)));
    v1::LoginRequest poll;
    poll.set_poll(true);
    CS_ASSIGN_OR_RETURN(answer, Ask(client, std::move(poll)));
  }
  return answer.login();
}

int RunLogin(const Options& options, const Context& context) {
  const auto login = options.device_code ? WithDeviceCode(context)
                                         : WithBrowser(options, context);
  if (!login.has_value()) return context.output.Fail(login.error());
  return Done(*login, context);
}

int RunLogout(const Context& context) {
  v1::Request request;
  request.mutable_logout();
  const auto response = context.Ask(std::move(request), kActionTimeout);
  if (!response.has_value()) return context.output.Fail(response.error());
  const v1::LogoutResponse& logout = response->logout();
  if (logout.has_service_error()) {
    // Nobody uses it here any more, but the service thinks that one may.
    return context.output.Fail(FromErrorInfo(logout.service_error()));
  }
  if (context.output.json()) {
    context.output.PrintJson({{"was_signed_in", logout.was_signed_in()}});
  } else {
    context.output.Note(logout.was_signed_in()
                            ? "Signed out; the sessions of that sign-in ended."
                            : "Nobody was signed in.");
  }
  return 0;
}

}  // namespace

void AddLogin(CLI::App& app, Context& context) {
  CLI::App* login =
      app.add_subcommand("login", "Sign in at the company's identity provider");
  login->footer("countersign login");
  const auto options = std::make_shared<Options>();
  login->add_flag("--device-code", options->device_code,
                  "Sign in on another device, with a code");
  login->add_flag("--no-browser", options->no_browser,
                  "Only print the address to go to");
  login->callback(
      [options, &context] { context.exit_code = RunLogin(*options, context); });
  CLI::App* logout = app.add_subcommand(
      "logout", "Sign out and end the sessions of that sign-in");
  logout->footer("countersign logout");
  logout->callback([&context] { context.exit_code = RunLogout(context); });
}

}  // namespace countersign::agent
