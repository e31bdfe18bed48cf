// The three answers about one action: who asked, what was asked and by what,
// and whether it was valid then. Each line comes with the check that shows it.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ACTION_REPORT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ACTION_REPORT_H_

#include <string>
#include <vector>

#include "attest/authz/audit/checked_line.h"
#include "attest/authz/config.h"
#include "attest/authz/store.h"
#include "attest/ledger/note.h"

namespace countersign::authz {

struct ActionReport {
  std::string action_digest;  // Hex.
  uint64_t ledger_index = 0;
  // Zero and empty if the decision's entry is not the one in the tree.
  int64_t decided_ms = 0;
  std::string decision;
  std::string reason;  // Empty with a permit.
  std::string name, resource, purpose;
  std::vector<CheckedLine> who;
  std::vector<CheckedLine> what;
  std::vector<CheckedLine> valid_then;

  // The keys of the lines with that mark.
  [[nodiscard]] std::vector<std::string> KeysOf(Mark mark) const;
  // Whether nothing was erased that a check needs.
  [[nodiscard]] bool complete() const { return KeysOf(Mark::kErased).empty(); }
  // Whether every check could be made, and holds.
  [[nodiscard]] bool holds() const {
    return complete() && KeysOf(Mark::kFailed).empty();
  }
};

// `which` as FindAction takes it. What does not hold is a line of the report,
// not an Error.
//   kNotFound            there is no such action
//   kCheckpointInvalid   the ledger has no checkpoint that `log` signed
[[nodiscard]] Result<ActionReport> ReportAction(StoreView& view,
                                                const Config& config,
                                                const ledger::NoteVerifier& log,
                                                std::string_view which);

// One JSON object with stable keys.
[[nodiscard]] std::string ToJson(const ActionReport& report);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_ACTION_REPORT_H_
