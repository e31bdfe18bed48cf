#include "attest/ledger/head_guard.h"

namespace countersign::ledger {

Result<TreeHead> CheckExtends(const Tree& tree, const TreeHead& last) {
  if (tree.size() < last.size) {
    return Fail(ErrorCode::kLedgerRolledBack,
                "the ledger has " + std::to_string(tree.size()) +
                    " entries, the last signed head " +
                    std::to_string(last.size));
  }
  TreeHead head{tree.size(), {}};
  CS_ASSIGN_OR_RETURN(head.root, tree.Root());
  // A proof is checked, though both ends are ours: it ties the old head to
  // the very hashes that the new root is made of.
  CS_ASSIGN_OR_RETURN(const statement::HashPath proof,
                      tree.ConsistencyProof(last.size));
  if (const Status extends = statement::VerifyConsistency(
          last.size, last.root, head.size, head.root, proof);
      !extends) {
    return Fail(ErrorCode::kLedgerFork,
                "the ledger is not an extension of the head signed at size " +
                    std::to_string(last.size));
  }
  return head;
}

Result<std::string> ExtendHead(const Tree& tree, const LedgerKey& key,
                               HeadGuard& guard) {
  CS_ASSIGN_OR_RETURN(const std::optional<TreeHead> last, guard.Load());
  const TreeHead empty{0, statement::MerkleRoot({})};
  CS_ASSIGN_OR_RETURN(const TreeHead head,
                      CheckExtends(tree, last.value_or(empty)));
  if (last != head) CS_RETURN_IF_ERROR(guard.Store(head));
  return SignCheckpoint({key.verifier().name(), head}, key);
}

}  // namespace countersign::ledger
