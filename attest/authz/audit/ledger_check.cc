#include "attest/authz/audit/ledger_check.h"

#include <charconv>
#include <ctime>

#include "attest/authz/audit/entry_pages.h"
#include "attest/authz/head_file.h"
#include "attest/authz/ledger_writer.h"
#include "attest/base/text.h"
#include "attest/statement/statement.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

// Enough to narrow a change down; each is checked against all entries.
constexpr uint64_t kCheckpoints = 64;

class PagedEntries final : public ledger::EntryReader {
 public:
  explicit PagedEntries(StoreView& view) : pages_(view) {}

  Result<std::optional<Bytes>> ReadEntry(uint64_t index) override {
    CS_ASSIGN_OR_RETURN(const auto entry, pages_.Read(index));
    if (!entry) return std::optional<Bytes>();
    return std::optional<Bytes>(statement::Pae(
        statement::TypeUri(StatementType::kLedgerEntry), *entry));
  }

 private:
  EntryPages pages_;
};

Result<std::vector<std::string>> Checkpoints(StoreView& view, uint64_t size) {
  std::vector<std::string> notes;
  uint64_t last = 0;
  for (uint64_t i = 0; i < kCheckpoints; ++i) {
    CS_ASSIGN_OR_RETURN(
        const auto row,
        view.CheckpointCovering(size / kCheckpoints * i +
                                size % kCheckpoints * i / kCheckpoints));
    if (!row || row->size == last) continue;
    last = row->size;
    notes.push_back(row->note);
  }
  CS_ASSIGN_OR_RETURN(const auto newest, view.NewestCheckpoint());
  if (newest && newest->size != last) notes.push_back(newest->note);
  return notes;
}

}  // namespace

Result<ledger::LedgerAudit> CheckLedger(StoreView& view, const Config& config,
                                        const ledger::NoteVerifier& log) {
  ledger::LedgerEvidence evidence;
  std::string headless = " is missing";
  {
    CS_ASSIGN_OR_RETURN(HeadFile head,
                        HeadFile::Lock(config.head_file, config.ledger_origin));
    auto kept = head.Load();
    if (kept) {
      evidence.kept_head = *std::move(kept);
    } else if (kept.error().code == ErrorCode::kStorageCorrupt ||
               kept.error().code == ErrorCode::kTooLarge) {
      headless = " is damaged or that of another ledger";
    } else {
      return tl::unexpected<Error>(kept.error());
    }
  }
  CS_ASSIGN_OR_RETURN(const auto newest, view.NewestCheckpoint());
  CS_ASSIGN_OR_RETURN(evidence.checkpoints,
                      Checkpoints(view, newest ? newest->size : 0));
  PagedEntries entries(view);
  const StoredTiles tiles(view);
  CS_ASSIGN_OR_RETURN(ledger::LedgerAudit audit,
                      ledger::VerifyLedger(entries, tiles, log, evidence));
  if (!evidence.kept_head && !audit.finding) {
    audit.finding = ledger::LedgerFinding{
        .code = ErrorCode::kLedgerRolledBack,
        .first_bad_index = audit.entries,
        .last_index = audit.entries,
        .detail = config.head_file + headless +
                  ": nobody can tell whether entries were cut off at the end",
        .remedy =
            "Restore this file from its own backup; leave the database "
            "as it is."};
  }
  return audit;
}

Status ListEntries(
    StoreView& view, int64_t since_ms,
    const std::function<void(uint64_t index, const v1::LedgerEntry&)>& show) {
  CS_ASSIGN_OR_RETURN(uint64_t index, view.FirstEntrySince(since_ms));
  CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, view.LedgerHead());
  for (; index < head.size; ++index) {
    CS_ASSIGN_OR_RETURN(const auto bytes, view.LedgerEntries(index, 1));
    v1::LedgerEntry entry;
    if (bytes.empty() ||
        !entry.ParseFromArray(bytes.front().data(),
                              static_cast<int>(bytes.front().size())) ||
        entry.service_time_ms() < since_ms) {
      continue;
    }
    show(index, entry);
  }
  return {};
}

std::string_view KindName(v1::EntryKind kind) {
  switch (kind) {
    case v1::ENTRY_KIND_ENROLLMENT:
      return "enrollment";
    case v1::ENTRY_KIND_LOGIN:
      return "login";
    case v1::ENTRY_KIND_SESSION:
      return "session";
    case v1::ENTRY_KIND_DECISION:
      return "decision";
    case v1::ENTRY_KIND_SESSION_END:
      return "session_end";
    case v1::ENTRY_KIND_REVOCATION:
      return "revocation";
    case v1::ENTRY_KIND_REPORT:
      return "report";
    case v1::ENTRY_KIND_FINDING:
      return "finding";
    case v1::ENTRY_KIND_ADMIN:
      return "admin";
    default:
      return "unknown";
  }
}

Result<int64_t> ParseSince(std::string_view text, int64_t now_ms) {
  const auto bad = [text] {
    return Fail(ErrorCode::kBadRequest,
                "not a time: " + Printable(text, 40) +
                    " (like 2026-11-21, 2026-11-21T08:00:00Z, 90m, 12h, 7d)");
  };
  int64_t count = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() - 1 &&
      count >= 0 && count <= 1'000'000) {
    switch (*end) {
      case 'm':
        return now_ms - count * 60'000;
      case 'h':
        return now_ms - count * 3'600'000;
      case 'd':
        return now_ms - count * 86'400'000;
      default:
        return bad();
    }
  }
  const std::string zoned(text);
  for (const char* format : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"}) {
    std::tm parts{};
    const char* rest = ::strptime(zoned.c_str(), format, &parts);
    if (rest != nullptr && *rest == '\0') {
      return static_cast<int64_t>(::timegm(&parts)) * 1000;
    }
  }
  return bad();
}

}  // namespace countersign::authz
