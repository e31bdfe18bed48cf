// countersign-authz audit: what happened, and how anybody can tell.
#include <CLI/CLI.hpp>
#include <memory>

#include "attest/authz/audit/action_report.h"
#include "attest/authz/audit/ledger_check.h"
#include "attest/authz/commands/commands.h"
#include "attest/authz/json_writer.h"

namespace countersign::authz {
namespace {

void PrintLines(const Console& console, std::string_view heading,
                const std::vector<CheckedLine>& lines) {
  if (lines.empty()) return;
  console.PrintRaw("");
  console.Heading(heading);
  for (const CheckedLine& line : lines) {
    console.Check(line.mark, line.fact, line.proof);
  }
}

// 5 where something is not as it was signed, 1 where a check could not be
// made because its evidence was erased.
int ExitCodeOf(const ActionReport& report) {
  if (!report.KeysOf(Mark::kFailed).empty()) {
    return ExitCode(ErrorCode::kLedgerEntryMismatch);
  }
  return report.complete() ? 0 : 1;
}

std::string Conclusion(const ActionReport& report) {
  if (!report.KeysOf(Mark::kFailed).empty()) {
    return "Not everything holds: see the lines marked ✗.";
  }
  if (report.complete()) {
    return "Every check was made again just now, and holds.";
  }
  std::string missing;
  for (const std::string& key : report.KeysOf(Mark::kErased)) {
    missing += (missing.empty() ? "" : ", ") + key;
  }
  return "Not every check could be made again: what they need was erased (" +
         missing + "). What could be checked holds.";
}

Result<int> Show(Installation& service, const Console& console,
                 const std::string& which) {
  ActionReport report;
  const auto read = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(report,
                        ReportAction(view, service.config(),
                                     service.keys().ledger.verifier(), which));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Read(read));
  if (console.json()) {
    console.PrintRaw(ToJson(report));
    return ExitCodeOf(report);
  }
  console.Heading("Action " + report.action_digest);
  const std::string index = std::to_string(report.ledger_index);
  if (report.decision.empty()) {
    console.Print("  ledger entry " + index + " cannot be relied on");
  } else {
    console.Print("  " + report.decision +
                  (report.reason.empty() ? "" : " (" + report.reason + ")") +
                  " at " + TimeText(report.decided_ms) + ", ledger entry " +
                  index);
  }
  PrintLines(console, "Who", report.who);
  PrintLines(console, "What", report.what);
  PrintLines(console, "Valid then", report.valid_then);
  console.PrintRaw("");
  console.Print(Conclusion(report));
  return ExitCodeOf(report);
}

void WriteEntry(JsonWriter& json, uint64_t index,
                const v1::LedgerEntry& entry) {
  const auto hex = [](const std::string& bytes) {
    return ToHex(AsBytes(bytes));
  };
  const auto reason = ErrorCodeFromNumber(entry.reason());
  json.BeginObject()
      .Int("index", static_cast<int64_t>(index))
      .Int("time_ms", entry.service_time_ms())
      .String("kind", KindName(entry.kind()))
      .Optional("device_id", hex(entry.device_id()))
      .Optional("session_id", hex(entry.session_id()))
      .Optional("action_digest", hex(entry.action_digest()))
      .Optional("decision", entry.decision())
      .Optional("reason", reason && entry.reason() != 0 ? Name(*reason) : "")
      .Optional("rule", entry.rule())
      .Optional("policy_version", entry.policy_version())
      .Optional("detail", entry.detail())
      .Bool("late", entry.late())
      .EndObject();
}

std::string EntryText(uint64_t index, const v1::LedgerEntry& entry) {
  std::string text = std::to_string(index) + "  " +
                     TimeText(entry.service_time_ms()) + "  " +
                     std::string(KindName(entry.kind()));
  if (!entry.decision().empty()) text += "  " + entry.decision();
  if (const auto reason = ErrorCodeFromNumber(entry.reason());
      reason && entry.reason() != 0) {
    text += "  " + std::string(Name(*reason));
  }
  if (!entry.rule().empty()) text += "  rule " + entry.rule();
  if (!entry.action_digest().empty()) {
    text += "  action " + ToHex(AsBytes(entry.action_digest()));
  } else if (!entry.device_id().empty()) {
    text += "  device " + ToHex(AsBytes(entry.device_id()));
  }
  if (!entry.detail().empty()) text += "  " + entry.detail();
  if (entry.kind() == v1::ENTRY_KIND_ADMIN && !entry.policy_version().empty()) {
    text += " " + entry.policy_version();
  }
  if (entry.late()) text += "  late";
  return text;
}

Result<int> List(Installation& service, const Console& console,
                 const std::string& since) {
  CS_ASSIGN_OR_RETURN(const int64_t since_ms,
                      ParseSince(since, service.clock().NowMs()));
  JsonWriter json;
  json.BeginObject().BeginArray("entries");
  const auto list = [&](StoreView& view) {
    return ListEntries(view, since_ms,
                       [&](uint64_t index, const v1::LedgerEntry& entry) {
                         if (console.json()) {
                           WriteEntry(json, index, entry);
                         } else {
                           console.Print(EntryText(index, entry));
                         }
                       });
  };
  CS_RETURN_IF_ERROR(service.store().Read(list));
  json.EndArray().EndObject();
  if (console.json()) console.PrintRaw(json.text());
  return 0;
}

Result<int> Verify(Installation& service, const Console& console) {
  ledger::LedgerAudit audit;
  const auto check = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(audit, CheckLedger(view, service.config(),
                                           service.keys().ledger.verifier()));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Read(check));
  // Whatever was found, and whatever its code gives elsewhere.
  const int exit_code =
      audit.finding ? ExitCode(ErrorCode::kLedgerEntryMismatch) : 0;
  std::string_view remedy;
  if (audit.finding) {
    remedy = audit.finding->remedy.empty() ? Remedy(audit.finding->code)
                                           : audit.finding->remedy;
  }
  if (console.json()) {
    JsonWriter json;
    json.BeginObject()
        .Bool("ok", !audit.finding)
        .Int("entries", static_cast<int64_t>(audit.entries))
        .Int("tree_size", static_cast<int64_t>(audit.head.size))
        .String("root", ToHex(audit.head.root));
    if (audit.finding) {
      json.BeginObject("finding")
          .String("reason", Name(audit.finding->code))
          .Int("first_bad_index",
               static_cast<int64_t>(audit.finding->first_bad_index))
          .Int("last_index", static_cast<int64_t>(audit.finding->last_index))
          .String("detail", audit.finding->detail)
          .String("remedy", remedy)
          .EndObject();
    }
    json.EndObject();
    console.PrintRaw(json.text());
    return exit_code;
  }
  if (!audit.finding) {
    console.Check(Mark::kOk,
                  "all " + std::to_string(audit.entries) +
                      " entries are those that were signed",
                  "root " + ToHex(audit.head.root) + ", recomputed");
    return 0;
  }
  if (audit.finding->code == ErrorCode::kLedgerRolledBack) {
    console.Check(Mark::kFailed, audit.finding->detail, remedy);
    return exit_code;
  }
  std::string where = "entry " + std::to_string(audit.finding->first_bad_index);
  if (audit.finding->last_index > audit.finding->first_bad_index) {
    where = "between " + where + " and entry " +
            std::to_string(audit.finding->last_index);
  }
  console.Check(
      Mark::kFailed,
      "first bad: " + where + ". " + std::string(Message(audit.finding->code)),
      audit.finding->detail);
  return exit_code;
}

}  // namespace

void AddAudit(CLI::App& app, Context& context) {
  CLI::App* audit = app.add_subcommand(
      "audit", "Show what happened, with the checks that prove it");
  audit->footer("countersign-authz audit show 1042");
  audit->require_subcommand(1);
  struct Options {
    std::string which;
    std::string since = "24h";
  };
  auto options = std::make_shared<Options>();

  CLI::App* show = audit->add_subcommand(
      "show",
      "Who, what, and valid then: the three answers for one action; exit code "
      "5 if one does not hold, 1 if evidence for one was erased");
  show->footer("countersign-authz audit show 1042");
  show->add_option("ACTION", options->which,
                   "Action digest (hex) or ledger index")
      ->required();
  show->callback([&context, options] {
    context.Run([&](Installation& service) {
      return Show(service, context.console, options->which);
    });
  });

  CLI::App* list = audit->add_subcommand("list", "List the ledger's entries");
  list->footer("countersign-authz audit list --since 7d");
  list->add_option("--since", options->since,
                   "2026-11-21, 2026-11-21T08:00:00Z, 90m, 12h or 7d")
      ->type_name("TIME");
  list->callback([&context, options] {
    context.Run([&](Installation& service) {
      return List(service, context.console, options->since);
    });
  });

  CLI::App* verify = audit->add_subcommand(
      "verify",
      "Recompute the whole ledger; exit code 5 names the first bad "
      "entry, or says that the end is missing or cannot be told");
  verify->footer("countersign-authz audit verify");
  verify->callback([&context] {
    context.Run([&](Installation& service) {
      return Verify(service, context.console);
    });
  });
}

}  // namespace countersign::authz
