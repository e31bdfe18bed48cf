// Checks that actions are exactly the leaves of a quoted batch: one signature
// for up to 2,048 of them. It proves that the device asked, never that it was
// permitted.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_BATCH_VERIFIER_H_
#define COUNTERSIGN_ATTEST_VERIFIER_BATCH_VERIFIER_H_

#include "attest/verifier/quoted_statement.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::verifier {

// One action of a batch. Its number is its place.
struct BatchLeaf {
  Sha256Digest digest;  // Statement digest of the action's bytes.
  v1::Action action;
  v1::ActionRequest request;  // Empty if the leaf ends its session.
};

// Reads one action, hostile, and what it carries.
//   kTooLarge, kMalformedStatement, kNonCanonical   action or request
//   kActionInvalid   session_binding_digest not 32 bytes, salt not 16; a
//                    request that breaks the rules the agent applies too
//                    (statement/action_rules.h); both or neither of a request
//                    and session_end; an approval that is of another
//                    request or not well formed (CheckApproval)
[[nodiscard]] Result<BatchLeaf> ReadLeaf(ByteSpan action);

// Checks `actions`, hostile, against `batch`, which was quoted.
//   kTreeMismatch       their number is not tree_size, or their root is not
//                       the quoted one
//   kLeafIndexMismatch  a leaf's sequence is not first_action_sequence plus
//                       its place
// A leaf that is not well formed (ReadLeaf) is an error of that leaf alone.
[[nodiscard]] Result<std::vector<Result<BatchLeaf>>> VerifyLeaves(
    const google::protobuf::RepeatedPtrField<std::string>& actions,
    const v1::ActionBatch& batch);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_BATCH_VERIFIER_H_
