#include "attest/base/digest.h"
#include "attest/tpm/event_log.h"
#include "attest/verifier/addressee.h"
#include "attest/verifier/appraise.h"
#include "attest/verifier/event_log_verifier.h"
#include "attest/verifier/session_key_verifier.h"
#include "attest/verifier/tpm_clock_check.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

constexpr size_t kIdSize = 16;
constexpr size_t kNonceSize = 32;

Result<v1::SessionBinding> ReadBinding(const v1::Statement& statement) {
  CS_ASSIGN_OR_RETURN(
      auto binding,
      statement::ParseStatement<v1::SessionBinding>(
          AsBytes(statement.body()), statement::kMaxSessionBindingSize));
  if (binding.nonce().size() != kNonceSize ||
      binding.session_id().size() != kIdSize ||
      binding.event_log_sha256().size() != sizeof(Sha256Digest)) {
    return Fail(ErrorCode::kMalformedStatement,
                "nonce, session_id or event_log_sha256");
  }
  return binding;
}

Status CheckChannel(const v1::SessionBinding& binding,
                    const ExpectedSession& expected) {
  if (!expected.tls_exporter) return {};
  if (binding.tls_exporter().empty() && expected.allow_unbound_channel) {
    return {};
  }
  if (!ConstantTimeEqual(AsBytes(binding.tls_exporter()),
                         *expected.tls_exporter)) {
    return Fail(ErrorCode::kChannelBindingMismatch);
  }
  return {};
}

Status CheckEventLog(const v1::SessionEvidence& evidence,
                     const v1::SessionBinding& binding,
                     const QuotedPcrs& pcrs) {
  const ByteSpan log = AsBytes(evidence.event_log());
  if (!Equal(Sha256(log), AsBytes(binding.event_log_sha256()))) {
    return Fail(ErrorCode::kEventLogMismatch, "not the log that was quoted");
  }
  return VerifyEventLog(log, pcrs);
}

Result<AppraisedSession> Appraise(const v1::SessionEvidence& evidence,
                                  const KnownDevice& device,
                                  const ExpectedSession& expected) {
  if (evidence.event_log().size() > tpm::kMaxEventLogSize) {
    return Fail(ErrorCode::kTooLarge, "event log");
  }
  CS_ASSIGN_OR_RETURN(QuotedStatement quoted,
                      VerifyQuotedStatement(evidence.statement(),
                                            StatementType::kSessionBinding,
                                            evidence.quote(), device));
  CS_ASSIGN_OR_RETURN(auto binding, ReadBinding(evidence.statement()));
  CS_RETURN_IF_ERROR(CheckAddressee(binding, device));
  CS_RETURN_IF_ERROR(expected.consume_nonce(binding));
  CS_RETURN_IF_ERROR(CheckChannel(binding, expected));
  CS_ASSIGN_OR_RETURN(
      QuotedPcrs pcrs,
      VerifyPcrs(std::move(quoted.quote), evidence.quote(), device.selection));
  CS_RETURN_IF_ERROR(CheckEventLog(evidence, binding, pcrs));
  if (expected.last_clock) {
    CS_RETURN_IF_ERROR(CheckNotBefore(*expected.last_clock, pcrs.clock()));
  }
  CS_RETURN_IF_ERROR(VerifySessionKey(
      evidence, {device, binding, quoted.digest, pcrs.clock()}));
  const bool channel_bound =
      expected.tls_exporter.has_value() && !binding.tls_exporter().empty();
  const bool new_boot =
      expected.last_clock && !pcrs.clock().SameBoot(*expected.last_clock);
  return AppraisedSession{.binding = std::move(binding),
                          .digest = quoted.digest,
                          .pcrs = std::move(pcrs),
                          .channel_bound = channel_bound,
                          .new_boot = new_boot};
}

}  // namespace

Result<AttestationResult<AppraisedSession>> AppraiseSession(
    const v1::SessionEvidence& evidence, const KnownDevice& device,
    const ExpectedSession& expected) {
  return AttestationResult<AppraisedSession>::Conclude(
      Appraise(evidence, device, expected));
}

}  // namespace countersign::verifier
