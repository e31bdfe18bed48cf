// Keeps every rule file that was ever in force: decisions name it by its
// digest, and an auditor wants to read it.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_RECORD_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_RECORD_H_

#include "attest/authz/ledger_writer.h"
#include "attest/authz/policy/policy.h"

namespace countersign::authz {

// Keeps the text of `policy` as evidence and notes in the ledger that it is in
// force, unless it is the one noted last. Before it decides anything.
[[nodiscard]] Status RecordPolicy(Store& store, LedgerWriter& ledger,
                                  const Policy& policy);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_RECORD_H_
