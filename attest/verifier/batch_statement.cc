#include "attest/verifier/batch_statement.h"

#include <limits>

#include "attest/base/text.h"
#include "attest/statement/statement.h"

namespace countersign::verifier {
namespace {

constexpr size_t kIdSize = 16;
constexpr size_t kNonceSize = 32;

bool IsWellFormed(const v1::ActionBatch& batch) {
  return batch.journal_id().size() == kIdSize &&
         batch.epoch_nonce().size() == kNonceSize &&
         batch.root().size() == sizeof(Sha256Digest) &&
         batch.previous_batch_digest().size() == sizeof(Sha256Digest) &&
         batch.tree_size() >= 1 &&
         batch.tree_size() <= statement::kMaxBatchLeaves &&
         batch.first_action_sequence() <=
             std::numeric_limits<uint64_t>::max() - batch.tree_size();
}

}  // namespace

Result<v1::ActionBatch> ReadBatchStatement(const v1::Statement& statement,
                                           const KnownDevice& device) {
  CS_ASSIGN_OR_RETURN(auto batch, statement::ParseStatement<v1::ActionBatch>(
                                      AsBytes(statement.body()),
                                      statement::kMaxActionBatchSize));
  if (!IsWellFormed(batch)) {
    return Fail(ErrorCode::kMalformedStatement, "a field of the batch");
  }
  if (batch.issuer() != device.issuer) {
    return Fail(ErrorCode::kWrongIssuer, Printable(batch.issuer()));
  }
  if (!Equal(AsBytes(batch.device_id()), device.device_id)) {
    return Fail(ErrorCode::kSessionOfOtherDevice, "batch of another device");
  }
  if (!Equal(AsBytes(batch.ak_name()), device.ak.name())) {
    return Fail(ErrorCode::kAkNotBound, "batch of another AK");
  }
  return batch;
}

}  // namespace countersign::verifier
