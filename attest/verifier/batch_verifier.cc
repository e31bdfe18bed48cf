#include "attest/verifier/batch_verifier.h"

#include "attest/base/text.h"
#include "attest/statement/action_rules.h"
#include "attest/statement/merkle.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

constexpr size_t kSaltSize = 16;
constexpr size_t kMaxEndReasonSize = 64;

tl::unexpected<Error> Invalid(std::string detail) {
  return Fail(ErrorCode::kActionInvalid, std::move(detail));
}

// A leaf asks for something, or ends its session; never both.
Status ReadRequest(BatchLeaf& leaf) {
  const ByteSpan bytes = AsBytes(leaf.action.action_request());
  const std::string& session_end = leaf.action.session_end();
  if (bytes.empty() == session_end.empty()) {
    return Invalid("action_request: exactly one of it and session_end");
  }
  if (bytes.empty()) {
    return CheckText(session_end, kMaxEndReasonSize, "session_end");
  }
  CS_ASSIGN_OR_RETURN(leaf.request,
                      statement::ParseStatement<v1::ActionRequest>(
                          bytes, statement::kMaxActionSize));
  CS_RETURN_IF_ERROR(statement::CheckActionRequest(leaf.request));
  return {};
}

}  // namespace

Result<BatchLeaf> ReadLeaf(ByteSpan action) {
  BatchLeaf leaf;
  leaf.digest = statement::StatementDigest(StatementType::kAction, action);
  CS_ASSIGN_OR_RETURN(leaf.action, statement::ParseStatement<v1::Action>(
                                       action, statement::kMaxActionSize));
  if (leaf.action.session_binding_digest().size() != sizeof(Sha256Digest)) {
    return Invalid("session_binding_digest: not 32 bytes");
  }
  if (leaf.action.salt().size() != kSaltSize) {
    return Invalid("salt: not 16 bytes");
  }
  CS_RETURN_IF_ERROR(ReadRequest(leaf));
  if (leaf.action.has_approval()) {
    const ByteSpan request = AsBytes(leaf.action.action_request());
    if (request.empty()) return Invalid("approval: of a session's end");
    CS_RETURN_IF_ERROR(statement::CheckApproval(
        leaf.action.approval(),
        statement::StatementDigest(StatementType::kActionRequest, request)));
  }
  return leaf;
}

Result<std::vector<Result<BatchLeaf>>> VerifyLeaves(
    const google::protobuf::RepeatedPtrField<std::string>& actions,
    const v1::ActionBatch& batch) {
  const auto count = static_cast<size_t>(actions.size());
  if (count == 0 || count != batch.tree_size()) {
    return Fail(ErrorCode::kTreeMismatch, "number of actions");
  }
  std::vector<Sha256Digest> hashes;
  hashes.reserve(count);
  for (const std::string& action : actions) {
    hashes.push_back(
        statement::LeafHash(StatementType::kAction, AsBytes(action)));
  }
  if (!Equal(statement::MerkleRoot(hashes), AsBytes(batch.root()))) {
    return Fail(ErrorCode::kTreeMismatch, "root");
  }
  std::vector<Result<BatchLeaf>> leaves;
  leaves.reserve(count);
  for (const std::string& action : actions) {
    const uint64_t sequence = batch.first_action_sequence() + leaves.size();
    leaves.push_back(ReadLeaf(AsBytes(action)));
    const Result<BatchLeaf>& leaf = leaves.back();
    if (leaf && leaf->action.sequence() != sequence) {
      return Fail(ErrorCode::kLeafIndexMismatch,
                  "sequence " + std::to_string(leaf->action.sequence()) +
                      " in place of " + std::to_string(sequence));
    }
  }
  return leaves;
}

}  // namespace countersign::verifier
