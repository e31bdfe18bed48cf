// countersign-authz init: a new service in one folder.
#include "attest/authz/init.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "attest/authz/commands/commands.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/tls_context.h"

namespace countersign::authz {
namespace {

int Run(const InitOptions& options, const Console& console) {
  if (const Status made = InitService(options); !made) {
    if (made.error().code == ErrorCode::kBadRequest) {
      return console.FailUsage(
          made.error().detail,
          "Give another --dir or --store, or move what is there "
          "away.");
    }
    return console.Fail(made.error());
  }
  const std::string config = options.dir + "/authz.toml";
  if (console.json()) {
    JsonWriter json;
    json.BeginObject()
        .String("config", config)
        .String("trust", options.dir + "/trust")
        .EndObject();
    console.PrintRaw(json.text());
    return 0;
  }
  console.Print("A new service for " + options.issuer + ":");
  console.Field("config", config);
  console.Field("policy", options.dir + "/policy.toml (denies everything)");
  console.Field("ek-roots", options.dir +
                                "/ek-roots (put the TPM manufacturers' "
                                "certificates here)");
  console.Field("trust",
                options.dir +
                    "/trust (for offline verification; put the "
                    "manufacturers' certificates into trust/ek-roots as well)");
  if (options.tls_certificate.empty()) {
    console.Field("tls", options.dir + "/tls/ca.pem (give it to the agents)");
    console.Note(
        "The key of this private CA was not kept. Its certificates are good "
        "for " +
        std::to_string(kPrivateTlsDays) +
        " days; countersign-authz(8) tells how to renew them.");
  }
  console.Note("Start it with: countersign-authz serve --config " + config);
  return 0;
}

}  // namespace

void AddInit(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "init", "Make keys, configuration and ledger of a new service");
  command->footer(
      "countersign-authz init --dir /etc/countersign/authz "
      "--issuer https://authz.example.com:8443");
  auto options = std::make_shared<InitOptions>();
  command->add_option("--dir", options->dir, "Folder to make it in")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--issuer", options->issuer,
                   "The service's URL, exactly as agents use it")
      ->required()
      ->type_name("URL");
  command->add_option("--tenant", options->tenant, "Name of the tenant")
      ->type_name("NAME");
  command
      ->add_option("--listen", options->listen,
                   "Address to listen on; default 127.0.0.1 and the port of "
                   "the issuer")
      ->type_name("ADDRESS:PORT");
  command
      ->add_option("--store", options->database,
                   "Database: a file, default ledger.db in DIR, or "
                   "postgresql://USER@HOST/NAME")
      ->type_name("DATABASE");
  auto* certificate =
      command
          ->add_option("--tls-cert", options->tls_certificate,
                       "Certificate chain (PEM); else a private CA makes one")
          ->type_name("FILE");
  auto* key =
      command
          ->add_option("--tls-key", options->tls_key, "Its private key (PEM)")
          ->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
  command->callback([&context, options] {
    context.exit_code = Run(*options, context.console);
  });
}

}  // namespace countersign::authz
