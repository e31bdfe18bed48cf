#include "attest/verifier/appraise_login.h"

#include <tuple>

#include "attest/verifier/addressee.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

constexpr size_t kChallengeSize = 32;

Status CheckBoot(const std::optional<tpm::TpmClock>& last,
                 const tpm::TpmClock& now) {
  if (!last) return {};
  if (std::tie(now.reset_count, now.restart_count) <
      std::tie(last->reset_count, last->restart_count)) {
    return Fail(ErrorCode::kTpmClockRollback, "quoted before the last reboot");
  }
  return {};
}

Result<AppraisedLogin> Appraise(const v1::LoginEvidence& evidence,
                                const KnownDevice& device,
                                const ExpectedLogin& expected) {
  CS_ASSIGN_OR_RETURN(
      QuotedStatement quoted,
      VerifyQuotedStatement(evidence.statement(), StatementType::kLogin,
                            evidence.quote(), device));
  CS_ASSIGN_OR_RETURN(auto login, statement::ParseStatement<v1::Login>(
                                      AsBytes(evidence.statement().body()),
                                      statement::kMaxLoginSize));
  if (login.challenge().size() != kChallengeSize) {
    return Fail(ErrorCode::kMalformedStatement, "challenge");
  }
  CS_RETURN_IF_ERROR(CheckAddressee(login, device));
  CS_RETURN_IF_ERROR(expected.consume_challenge(login));
  CS_ASSIGN_OR_RETURN(
      const QuotedPcrs pcrs,
      VerifyPcrs(std::move(quoted.quote), evidence.quote(), device.selection));
  CS_RETURN_IF_ERROR(CheckBoot(expected.last_clock, pcrs.clock()));
  return AppraisedLogin{.login = std::move(login),
                        .digest = quoted.digest,
                        .attest_sha256 = pcrs.attest_sha256()};
}

}  // namespace

Result<AttestationResult<AppraisedLogin>> AppraiseLogin(
    const v1::LoginEvidence& evidence, const KnownDevice& device,
    const ExpectedLogin& expected) {
  return AttestationResult<AppraisedLogin>::Conclude(
      Appraise(evidence, device, expected));
}

}  // namespace countersign::verifier
