#include "attest/verifier/appraise.h"
#include "attest/verifier/batch_statement.h"
#include "attest/verifier/tpm_clock_check.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

Status CheckSize(const v1::BatchEvidence& evidence) {
  if (evidence.actions_size() > static_cast<int>(statement::kMaxBatchLeaves)) {
    return Fail(ErrorCode::kTooLarge, "number of actions");
  }
  size_t size = 0;
  for (const std::string& action : evidence.actions()) size += action.size();
  if (size > statement::kMaxBatchSize) {
    return Fail(ErrorCode::kTooLarge, "actions");
  }
  return {};
}

Result<AppraisedBatch> Appraise(const v1::BatchEvidence& evidence,
                                const KnownDevice& device,
                                const ExpectedBatch& expected) {
  CS_RETURN_IF_ERROR(CheckSize(evidence));
  CS_ASSIGN_OR_RETURN(
      QuotedStatement quoted,
      VerifyQuotedStatement(evidence.statement(), StatementType::kActionBatch,
                            evidence.quote(), device));
  CS_ASSIGN_OR_RETURN(auto batch,
                      ReadBatchStatement(evidence.statement(), device));
  if (device.out_of_service) return Fail(*device.out_of_service);
  CS_RETURN_IF_ERROR(expected.check_chain(batch, quoted.digest));
  CS_ASSIGN_OR_RETURN(auto leaves, VerifyLeaves(evidence.actions(), batch));
  CS_ASSIGN_OR_RETURN(
      QuotedPcrs pcrs,
      VerifyPcrs(std::move(quoted.quote), evidence.quote(), device.selection));
  if (expected.last_clock) {
    CS_RETURN_IF_ERROR(CheckNotBefore(*expected.last_clock, pcrs.clock()));
  }
  return AppraisedBatch{.batch = std::move(batch),
                        .digest = quoted.digest,
                        .pcrs = std::move(pcrs),
                        .leaves = std::move(leaves)};
}

}  // namespace

Result<AttestationResult<AppraisedBatch>> AppraiseBatch(
    const v1::BatchEvidence& evidence, const KnownDevice& device,
    const ExpectedBatch& expected) {
  return AttestationResult<AppraisedBatch>::Conclude(
      Appraise(evidence, device, expected));
}

Status CheckLeafSession(const SessionFacts& session, const KnownDevice& device,
                        const QuotedPcrs& batch_pcrs) {
  if (!Equal(session.device_id, device.device_id)) {
    return Fail(ErrorCode::kSessionOfOtherDevice);
  }
  CS_RETURN_IF_ERROR(CheckSameBoot(session.clock, batch_pcrs.clock()));
  if (session.pcr_digest != batch_pcrs.pcr_digest()) {
    return Fail(ErrorCode::kPcrDigestMismatch,
                "measured values changed since the session was bound");
  }
  return {};
}

}  // namespace countersign::verifier
