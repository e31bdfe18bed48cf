#include "attest/verifier/action_proof_verifier.h"

#include "attest/statement/merkle.h"
#include "attest/verifier/batch_statement.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

// The index a leaf must have. Its sender could name any size of a tree that
// the same root fits; the quoted statement fixes size and numbers.
Status CheckIndex(const BatchLeaf& leaf, uint32_t claimed_index,
                  const v1::ActionBatch& batch) {
  const uint64_t sequence = leaf.action.sequence();
  const uint64_t first = batch.first_action_sequence();
  if (sequence < first || sequence - first >= batch.tree_size() ||
      claimed_index != sequence - first) {
    return Fail(ErrorCode::kLeafIndexMismatch,
                "sequence " + std::to_string(sequence) + ", batch from " +
                    std::to_string(first));
  }
  return {};
}

Status CheckPath(const v1::ActionProof& proof, const v1::ActionBatch& batch) {
  CS_ASSIGN_OR_RETURN(const statement::HashPath path,
                      statement::HashPathFrom(proof.path()));
  const Sha256Digest leaf =
      statement::LeafHash(StatementType::kAction, AsBytes(proof.action()));
  CS_ASSIGN_OR_RETURN(const Sha256Digest root,
                      statement::RootFromInclusionPath(
                          leaf, proof.leaf_index(), batch.tree_size(), path));
  if (!Equal(root, AsBytes(batch.root()))) {
    return Fail(ErrorCode::kInclusionProofInvalid);
  }
  return {};
}

}  // namespace

Result<ProvenAction> VerifyActionProof(const v1::ActionProof& proof,
                                       const KnownDevice& device) {
  CS_ASSIGN_OR_RETURN(
      QuotedStatement quoted,
      VerifyQuotedStatement(proof.batch(), StatementType::kActionBatch,
                            proof.quote(), device));
  CS_ASSIGN_OR_RETURN(auto batch, ReadBatchStatement(proof.batch(), device));
  CS_ASSIGN_OR_RETURN(
      QuotedPcrs pcrs,
      VerifyPcrs(std::move(quoted.quote), proof.quote(), device.selection));
  CS_ASSIGN_OR_RETURN(BatchLeaf leaf, ReadLeaf(AsBytes(proof.action())));
  CS_RETURN_IF_ERROR(CheckIndex(leaf, proof.leaf_index(), batch));
  CS_RETURN_IF_ERROR(CheckPath(proof, batch));
  return ProvenAction{std::move(leaf), std::move(batch), quoted.digest,
                      std::move(pcrs)};
}

}  // namespace countersign::verifier
