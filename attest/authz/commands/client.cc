// countersign-authz client: resource servers that may ask about grants.
#include <CLI/CLI.hpp>
#include <memory>

#include "attest/authz/commands/commands.h"
#include "attest/authz/files.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/oauth/resource_server.h"
#include "attest/jose/jwk_set.h"

namespace countersign::authz {
namespace {

struct Options {
  std::string name;
  std::string audience;
  std::string jwks_file;
};

std::string_view KindOf(const ClientRow& row) {
  return row.secret_sha256 ? "client_secret_basic" : "private_key_jwt";
}

void WriteClient(JsonWriter& json, const ClientRow& row) {
  json.String("name", row.name)
      .String("audience", row.audience)
      .String("authentication", KindOf(row))
      .Int("created_at_ms", row.created_ms)
      .Bool("revoked", row.revoked);
}

// The client as it is now, and a ledger entry that says what became of it.
Status Keep(Installation& service, const ClientRow& row, bool is_new) {
  CS_RETURN_IF_ERROR(service.ledger().CheckHead());
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_ADMIN);
  entry.set_detail("client " + row.name +
                   (is_new ? " added for " + row.audience : " revoked") +
                   ", by " + LocalActor());
  uint64_t index = 0;
  const auto keep = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(const auto before, transaction.FindClient(row.name));
    if (is_new && before && !before->revoked) {
      return Fail(ErrorCode::kBadRequest,
                  "there is a client " + row.name + "; revoke it first");
    }
    CS_RETURN_IF_ERROR(transaction.PutClient(row));
    CS_ASSIGN_OR_RETURN(index,
                        service.ledger().Append(transaction, {&entry, 1}));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Write(keep));
  return service.ledger().Publish(index);
}

Result<int> Add(Installation& service, const Console& console,
                const Options& options) {
  std::string jwks;
  if (!options.jwks_file.empty()) {
    CS_ASSIGN_OR_RETURN(
        jwks, ReadFile(options.jwks_file, jose::KeySet::kMaxJsonSize));
  }
  CS_ASSIGN_OR_RETURN(const NewClient client,
                      MakeClient(options.name, options.audience, jwks,
                                 service.clock().NowMs()));
  CS_RETURN_IF_ERROR(Keep(service, client.row, true));
  if (console.json()) {
    JsonWriter json;
    json.BeginObject().Optional("secret", client.secret);
    WriteClient(json, client.row);
    json.EndObject();
    console.PrintRaw(json.text());
    return 0;
  }
  if (!client.secret.empty()) console.PrintRaw(client.secret);
  console.Note(
      "client " + client.row.name + " may ask about grants for " +
      client.row.audience +
      (client.secret.empty() ? "" : "; its secret is not shown again"));
  return 0;
}

Result<std::vector<ClientRow>> Clients(Installation& service) {
  std::vector<ClientRow> rows;
  const auto list = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(rows, view.ListClients());
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Read(list));
  return rows;
}

Result<int> List(Installation& service, const Console& console) {
  CS_ASSIGN_OR_RETURN(const auto rows, Clients(service));
  JsonWriter json;
  json.BeginObject().BeginArray("clients");
  for (const ClientRow& row : rows) {
    json.BeginObject();
    WriteClient(json, row);
    json.EndObject();
    if (console.json()) continue;
    console.Print(row.name + "  " + row.audience + "  " +
                  std::string(KindOf(row)) + (row.revoked ? "  revoked" : ""));
  }
  json.EndArray().EndObject();
  if (console.json()) console.PrintRaw(json.text());
  return 0;
}

Result<int> Revoke(Installation& service, const Console& console,
                   const std::string& name) {
  CS_ASSIGN_OR_RETURN(auto rows, Clients(service));
  for (ClientRow& row : rows) {
    if (row.name != name) continue;
    row.revoked = true;
    CS_RETURN_IF_ERROR(Keep(service, row, false));
    console.Note("Client " + name + " is revoked.");
    return 0;
  }
  return Fail(ErrorCode::kNotFound, "client " + name);
}

}  // namespace

void AddClient(CLI::App& app, Context& context) {
  CLI::App* client = app.add_subcommand(
      "client", "Add, list and revoke resource servers that ask about grants");
  client->footer(
      "countersign-authz client add orders --audience https://api.example");
  client->require_subcommand(1);
  auto options = std::make_shared<Options>();

  CLI::App* add = client->add_subcommand(
      "add", "Register a resource server and print its secret");
  add->footer(
      "countersign-authz client add orders --audience https://api.example");
  add->add_option("NAME", options->name, "Its client_id")->required();
  add->add_option("--audience", options->audience,
                  "Whose grants it may ask about: its own URL")
      ->required()
      ->type_name("URL");
  add->add_option("--jwks", options->jwks_file,
                  "It signs with one of these keys (private_key_jwt) and gets "
                  "no secret")
      ->type_name("FILE");
  add->callback([&context, options] {
    context.Run([&](Installation& service) {
      return Add(service, context.console, *options);
    });
  });

  CLI::App* list = client->add_subcommand("list", "List them");
  list->footer("countersign-authz client list");
  list->callback([&context] {
    context.Run(
        [&](Installation& service) { return List(service, context.console); });
  });

  CLI::App* revoke = client->add_subcommand("revoke", "Let one ask no more");
  revoke->footer("countersign-authz client revoke orders");
  revoke->add_option("NAME", options->name, "As `client list` shows it")
      ->required();
  revoke->callback([&context, options] {
    context.Run([&](Installation& service) {
      return Revoke(service, context.console, options->name);
    });
  });
}

}  // namespace countersign::authz
