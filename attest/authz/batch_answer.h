// What the agent gets for a batch that is in the ledger: decisions, and the
// tokens of those that were permitted.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_BATCH_ANSWER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_BATCH_ANSWER_H_

#include <span>
#include <vector>

#include "attest/authz/leaf_decisions.h"

namespace countersign::authz {

// One committed leaf, whether a moment ago or in an earlier request.
struct CommittedLeaf {
  v1::ActionDecision decision;  // As DecisionOf made it.
  const verifier::BatchLeaf* leaf = nullptr;
  const TokenSession* tokens = nullptr;  // Of its session; null: none.
  Sha256Digest digest{};
  std::string receipt_jti;
  int64_t decided_ms = 0;
};

// Signs the tokens, on several threads where that pays, and adds the proofs
// that were asked for. Tokens that have expired by now are left out: a batch
// that is brought again gets the same jti, and never a longer life.
[[nodiscard]] Result<v1::BatchAnswer> AnswerBatch(
    const Service& service, const v1::BatchEvidence& evidence,
    std::span<const CommittedLeaf> leaves);

// Adds the leases of the batch's sessions and a fresh epoch nonce.
[[nodiscard]] Status AddFreshness(const Service& service,
                                  const DeviceRow& device,
                                  const BatchSessions& sessions,
                                  v1::BatchAnswer& answer);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_BATCH_ANSWER_H_
