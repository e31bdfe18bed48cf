// What an audit says of the approval that an action carries: who gave it, and
// whether the decision rests on it.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_APPROVAL_LINES_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_APPROVAL_LINES_H_

#include "attest/authz/audit/checked_line.h"
#include "attest/verifier/batch_verifier.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// Both for a leaf that was read and has an approval; `decision` is its proven
// entry. Who: the approver, and what the grade does not show.
[[nodiscard]] CheckedLine ApproverLine(const verifier::BatchLeaf& leaf,
                                       const v1::LedgerEntry& decision);
// Valid then: whether a rule asked for it.
[[nodiscard]] CheckedLine ApprovalLine(const verifier::BatchLeaf& leaf,
                                       const v1::LedgerEntry& decision);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_APPROVAL_LINES_H_
