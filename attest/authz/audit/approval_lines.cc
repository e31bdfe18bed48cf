#include "attest/authz/audit/approval_lines.h"

#include "attest/authz/approval.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

std::string Named(const v1::Approval& approval) {
  return "approval " + Printable(approval.reference()) + " of grade '" +
         Printable(approval.grade()) + "'";
}

}  // namespace

CheckedLine ApproverLine(const verifier::BatchLeaf& leaf,
                         const v1::LedgerEntry& decision) {
  const v1::Approval& approval = leaf.action.approval();
  const bool logged = approval.reference() == decision.approval_reference();
  std::string proof = "the quoted action carries it over this very request, " +
                      ToHex(AsBytes(approval.request_digest())) +
                      ", and the ledger names it; ";
  proof += approval.grade() == kGradePrompt
               ? "it shows that some program of this account outside the "
                 "session's own said yes, not that a person did"
               : "only the device says so, and that counts for nothing";
  return {"approver", logged ? Mark::kOk : Mark::kFailed,
          Printable(approval.approver()) + " gave " + Named(approval),
          std::move(proof)};
}

CheckedLine ApprovalLine(const verifier::BatchLeaf& leaf,
                         const v1::LedgerEntry& decision) {
  const v1::Approval& approval = leaf.action.approval();
  const std::string& grade = decision.approval_grade();
  if (decision.decision() == "permit" && !grade.empty()) {
    return {"approval", grade == approval.grade() ? Mark::kOk : Mark::kFailed,
            "the permit rests on " + Named(approval),
            "the rule asks for that grade, and the service takes each "
            "approval once"};
  }
  return {"approval", Mark::kAbsent, Named(approval) + " counted for nothing",
          grade.empty() ? "no rule asked for one"
                        : "the rule asks for '" + Printable(grade) + "'"};
}

}  // namespace countersign::authz
