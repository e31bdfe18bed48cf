// countersign-authz store and backup: the database and its copies.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "attest/authz/commands/commands.h"
#include "attest/authz/files.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/storage/schema.h"
#include "attest/authz/storage/sqlite/sqlite_driver.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxHeadFile = 64 * 1024;

v1::LedgerEntry AdminEntry(const std::string& what) {
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_ADMIN);
  entry.set_detail(Printable(what + ", by " + LocalActor()));
  return entry;
}

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "a host";
  return name.data();
}

// Nothing is appended to a ledger that this host has not checked, so the head
// is held against the head file before the first step.
Result<int> Migrate(Installation& service, const Console& console) {
  const int64_t before = service.store().schema_version();
  if (before == kSchemaVersion) {
    console.Note("The database has schema version " + std::to_string(before) +
                 " already.");
    return 0;
  }
  CS_RETURN_IF_ERROR(service.ledger().CheckHead());
  uint64_t index = 0;
  const auto record = [&](StoreTransaction& transaction) -> Status {
    v1::LedgerEntry entry = AdminEntry("store migrated from schema version " +
                                       std::to_string(before) + " to " +
                                       std::to_string(kSchemaVersion));
    CS_ASSIGN_OR_RETURN(index,
                        service.ledger().Append(transaction, {&entry, 1}));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Migrate(record));
  CS_RETURN_IF_ERROR(service.ledger().Publish(index));
  console.Note("Migrated from schema version " + std::to_string(before) +
               " to " + std::to_string(kSchemaVersion) + ": ledger entry " +
               std::to_string(index) + ".");
  return 0;
}

Result<int> Join(Installation& service, const Console& console) {
  if (!IsDatabaseUri(service.config().database)) {
    return Fail(ErrorCode::kNotSupported,
                "a database that is a file has one host, which has its head "
                "file: restore that");
  }
  CS_ASSIGN_OR_RETURN(const ledger::TreeHead head, service.ledger().Join());
  const std::string root = ToHex(head.root);
  uint64_t index = 0;
  const auto record = [&](StoreTransaction& transaction) -> Status {
    v1::LedgerEntry entry =
        AdminEntry("host " + HostName() + " joined at " +
                   std::to_string(head.size) + " entries, root " + root);
    CS_ASSIGN_OR_RETURN(index,
                        service.ledger().Append(transaction, {&entry, 1}));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Write(record));
  CS_RETURN_IF_ERROR(service.ledger().Publish(index));
  if (console.json()) {
    JsonWriter json;
    json.BeginObject()
        .Int("size", static_cast<int64_t>(head.size))
        .String("root", root)
        .Int("ledger_index", static_cast<int64_t>(index))
        .EndObject();
    console.PrintRaw(json.text());
    return 0;
  }
  console.Print("Trusted on first use: the ledger of " +
                std::to_string(head.size) + " entries with the root " + root +
                ". Noted as ledger entry " + std::to_string(index) + ".");
  console.Note(
      "This host had nothing to hold that against. If another host of this "
      "service runs, 'countersign-authz audit verify' there must be clean.");
  return 0;
}

// The head goes first: a copy's head is never ahead of the copy.
Result<int> Backup(Installation& service, const Console& console,
                   const std::string& file) {
  const Config& config = service.config();
  if (IsDatabaseUri(config.database)) {
    return Fail(ErrorCode::kNotSupported,
                "a server's database is backed up with pg_basebackup or "
                "pg_dump; see docs/deployment/service.md");
  }
  CS_ASSIGN_OR_RETURN(const std::string head,
                      ReadFile(config.head_file, kMaxHeadFile));
  CS_RETURN_IF_ERROR(CreateFile(file + ".head", head, 0600));
  CS_RETURN_IF_ERROR(CopySqlite(config.database, file));
  console.Note("A copy is in " + file + ", and the head it extends in " + file +
               ".head. Neither holds the keys.");
  return 0;
}

}  // namespace

void AddStore(CLI::App& app, Context& context) {
  CLI::App* store =
      app.add_subcommand("store", "Migrate the database, or join one");
  store->footer("countersign-authz store migrate");
  store->require_subcommand(1);
  CLI::App* migrate = store->add_subcommand(
      "migrate", "Bring an older database to this version's schema");
  migrate->footer("countersign-authz store migrate");
  migrate->callback([&context] {
    context.Run(
        [&](Installation& service) {
          return Migrate(service, context.console);
        },
        SqlStore::Mode::kMigrate);
  });
  CLI::App* join = store->add_subcommand(
      "join", "Make this host's head file from a ledger that others keep");
  join->footer("countersign-authz store join");
  join->callback([&context] {
    context.Run(
        [&](Installation& service) { return Join(service, context.console); });
  });

  CLI::App* backup = app.add_subcommand(
      "backup", "Copy the database as it is now; the service may run");
  backup->footer("countersign-authz backup /var/backups/countersign.db");
  auto file = std::make_shared<std::string>();
  backup->add_option("FILE", *file, "Where to; must not exist")->required();
  backup->callback([&context, file] {
    context.Run([&](Installation& service) {
      return Backup(service, context.console, *file);
    });
  });
}

}  // namespace countersign::authz
