// Reading the statement of a batch, once its signature holds. Shared by the
// appraisal of a batch and of a single action's proof.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_BATCH_STATEMENT_H_
#define COUNTERSIGN_ATTEST_VERIFIER_BATCH_STATEMENT_H_

#include "attest/verifier/known_device.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::verifier {

// In this order:
//   kTooLarge, kMalformedStatement, kNonCanonical
//   kMalformedStatement    a digest, nonce or identifier of the wrong size;
//                          tree_size not 1 to 2,048; numbers that would wrap
//   kWrongIssuer, kSessionOfOtherDevice, kAkNotBound
[[nodiscard]] Result<v1::ActionBatch> ReadBatchStatement(
    const v1::Statement& statement, const KnownDevice& device);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_BATCH_STATEMENT_H_
