// countersign-authz token: enrollment tokens and administrator tokens.
#include <CLI/CLI.hpp>
#include <memory>

#include "attest/authz/commands/commands.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/tokens.h"

namespace countersign::authz {
namespace {

constexpr int64_t kDefaultTtlS = 24 * 3600;
constexpr int64_t kMaxTtlS = 366 * 24 * 3600;

std::string_view KindName(TokenKind kind) {
  return kind == TokenKind::kAdmin ? "admin" : "enrollment";
}

void WriteToken(JsonWriter& json, const TokenRow& row) {
  json.String("id", TokenId(row.secret_sha256))
      .String("kind", KindName(row.kind))
      .Int("max_uses", row.max_uses)
      .Int("uses", row.uses)
      .Int("expires_at_ms", row.expires_ms)
      .Bool("revoked", row.revoked);
}

// The token as it is now, and a ledger entry that says what became of it.
Status Keep(Installation& service, const TokenRow& row,
            const std::string& what) {
  CS_RETURN_IF_ERROR(service.ledger().CheckHead());
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_ADMIN);
  entry.set_detail(std::string(KindName(row.kind)) + " token " +
                   TokenId(row.secret_sha256) + " " + what + ", by " +
                   LocalActor());
  uint64_t index = 0;
  const auto keep = [&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(transaction.PutToken(row));
    CS_ASSIGN_OR_RETURN(index,
                        service.ledger().Append(transaction, {&entry, 1}));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Write(keep));
  return service.ledger().Publish(index);
}

Result<int> Create(Installation& service, const Console& console, bool admin,
                   int64_t uses, int64_t ttl_s) {
  const int64_t now_ms = service.clock().NowMs();
  const NewToken token =
      admin ? MintAdminToken(now_ms, ttl_s)
            : MintEnrollmentToken(
                  service.keys().service.public_key().thumbprint(), uses,
                  now_ms, ttl_s);
  CS_RETURN_IF_ERROR(
      Keep(service, token.row,
           admin ? "made" : "made for " + std::to_string(uses) + " devices"));
  if (console.json()) {
    JsonWriter json;
    json.BeginObject().String("token", token.text);
    WriteToken(json, token.row);
    json.EndObject();
    console.PrintRaw(json.text());
    return 0;
  }
  console.PrintRaw(token.text);
  console.Note(std::string(KindName(token.row.kind)) + " token " +
               TokenId(token.row.secret_sha256) + ", good until " +
               TimeText(token.row.expires_ms) + "; it is not shown again");
  return 0;
}

Result<std::vector<TokenRow>> Tokens(Installation& service) {
  std::vector<TokenRow> rows;
  const auto list = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(rows, view.ListTokens());
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Read(list));
  return rows;
}

Result<int> List(Installation& service, const Console& console) {
  CS_ASSIGN_OR_RETURN(const auto rows, Tokens(service));
  JsonWriter json;
  json.BeginObject().BeginArray("tokens");
  for (const TokenRow& row : rows) {
    json.BeginObject();
    WriteToken(json, row);
    json.EndObject();
    if (console.json()) continue;
    console.Print(TokenId(row.secret_sha256) + "  " +
                  std::string(KindName(row.kind)) + "  used " +
                  std::to_string(row.uses) + " of " +
                  std::to_string(row.max_uses) + "  until " +
                  TimeText(row.expires_ms) + (row.revoked ? "  revoked" : ""));
  }
  json.EndArray().EndObject();
  if (console.json()) console.PrintRaw(json.text());
  return 0;
}

Result<int> Revoke(Installation& service, const Console& console,
                   const std::string& id) {
  CS_ASSIGN_OR_RETURN(auto rows, Tokens(service));
  for (TokenRow& row : rows) {
    if (TokenId(row.secret_sha256) != id) continue;
    row.revoked = true;
    CS_RETURN_IF_ERROR(Keep(service, row, "revoked"));
    console.Note("Token " + id + " is revoked.");
    return 0;
  }
  return Fail(ErrorCode::kNotFound, "token " + id);
}

}  // namespace

void AddToken(CLI::App& app, Context& context) {
  CLI::App* token = app.add_subcommand(
      "token", "Make, list and revoke enrollment and administrator tokens");
  token->footer("countersign-authz token create --ttl 3600 > token");
  token->require_subcommand(1);

  CLI::App* create = token->add_subcommand("create", "Print a new token");
  create->footer("countersign-authz token create --ttl 3600 > token");
  struct Options {
    bool admin = false;
    int64_t uses = 1;
    int64_t ttl_s = kDefaultTtlS;
    std::string id;
  };
  auto options = std::make_shared<Options>();
  create->add_flag("--admin", options->admin,
                   "For the administrator's HTTP endpoints, not to enroll");
  create
      ->add_option("--uses", options->uses,
                   "Devices that it enrolls; more than one needs a "
                   "certificate or the allow-list besides")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  create->add_option("--ttl", options->ttl_s, "Seconds that it is good for")
      ->check(CLI::Range(int64_t{1}, kMaxTtlS));
  create->callback([&context, options] {
    context.Run([&](Installation& service) {
      return Create(service, context.console, options->admin, options->uses,
                    options->ttl_s);
    });
  });

  CLI::App* list = token->add_subcommand("list", "List tokens by their ids");
  list->footer("countersign-authz token list");
  list->callback([&context] {
    context.Run(
        [&](Installation& service) { return List(service, context.console); });
  });

  CLI::App* revoke = token->add_subcommand("revoke", "Revoke a token");
  revoke->footer("countersign-authz token revoke 3f2a90c1d4e5");
  revoke->add_option("ID", options->id, "As `token list` shows it")->required();
  revoke->callback([&context, options] {
    context.Run([&](Installation& service) {
      return Revoke(service, context.console, options->id);
    });
  });
}

}  // namespace countersign::authz
