// Checks that one action was part of a batch that a device's TPM quoted: what
// an offline verifier does with an exported proof.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_ACTION_PROOF_VERIFIER_H_
#define COUNTERSIGN_ATTEST_VERIFIER_ACTION_PROOF_VERIFIER_H_

#include "attest/verifier/batch_verifier.h"

namespace countersign::verifier {

struct ProvenAction {
  BatchLeaf leaf;
  v1::ActionBatch batch;
  Sha256Digest batch_digest;
  QuotedPcrs pcrs;
};

// Checks `proof`, hostile. In this order:
//   the checks of VerifyQuotedStatement and of the batch statement
//   kWrongIssuer, kSessionOfOtherDevice, kAkNotBound   the batch is not of
//                           this issuer, device and AK
//   the checks of VerifyPcrs
//   kLeafIndexMismatch      leaf_index is not sequence minus
//                           first_action_sequence, or not below tree_size
//   kInclusionProofInvalid  the path does not lead to the quoted root
[[nodiscard]] Result<ProvenAction> VerifyActionProof(
    const v1::ActionProof& proof, const KnownDevice& device);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_ACTION_PROOF_VERIFIER_H_
