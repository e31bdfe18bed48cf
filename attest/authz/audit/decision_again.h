// A decision of the past, made again from what is kept: the request and the
// response byte for byte, by the rule file of that time and, where a decision
// point was asked, from its own answer.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DECISION_AGAIN_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DECISION_AGAIN_H_

#include <memory>
#include <string>

#include "attest/authz/audit/trail.h"

namespace countersign::authz {

struct DecisionAgain {
  std::shared_ptr<const Policy> policy;  // The rule file of that time.
  std::string request;                   // AuthZEN 1.0, exact bytes.
  PolicyDecision rules;                  // What the rule file says.
  PolicyDecision decided;  // What came of it and of the decision point.
  bool point_asked = false;
  // Outcome, rule and approval are those in the ledger, and request and
  // response have the digests that stand there.
  bool holds = false;
};

// Of the leaf at `leaf_index` of `batch`, whose entry is `decision`.
//   kLeafIndexMismatch   there is no such leaf, or it is malformed
//   kEvidenceIncomplete  nothing is kept of how it was decided
//   kNotFound            the rule file was erased
//   kDecisionPointAnswer an answer that was kept cannot be read
[[nodiscard]] Result<DecisionAgain> DecideAgain(
    const TrailReader& trail, const v1::LedgerEntry& decision,
    const TrailReader::JudgedBatch& batch,
    const TrailReader::JudgedSession& session, uint32_t leaf_index);

// The same from the start. Also kNotFound, kBadRequest: policy was not asked.
[[nodiscard]] Result<DecisionAgain> DecideAgain(const TrailReader& trail,
                                                const ActionRow& action);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DECISION_AGAIN_H_
