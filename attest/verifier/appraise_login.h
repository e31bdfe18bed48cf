// Appraises a login statement: which device and OS user ask that whoever
// signs in at the identity provider be taken for them.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_APPRAISE_LOGIN_H_
#define COUNTERSIGN_ATTEST_VERIFIER_APPRAISE_LOGIN_H_

#include <functional>
#include <optional>

#include "attest/verifier/attestation_result.h"
#include "attest/verifier/quoted_statement.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::verifier {

struct ExpectedLogin {
  // Clock of the last quote accepted from this AK; nothing before the first.
  std::optional<tpm::TpmClock> last_clock;
  // Must be set. Consumes the challenge, once and for all. Asked only for a
  // statement that the device's TPM signed for this issuer.
  std::function<Status(const v1::Login&)> consume_challenge;
};

struct AppraisedLogin {
  v1::Login login;
  Sha256Digest digest;  // Of the statement: the ID token's nonce.
  Sha256Digest attest_sha256;
};

// All of `evidence` is hostile. In this order:
//   statement type, digest, quote and its signature (VerifyQuotedStatement)
//   kMalformedStatement, kNonCanonical
//   kWrongIssuer, kWrongTenant, kSessionOfOtherDevice, kAkNotBound
//   device.out_of_service    kDeviceRevoked, kAkRetired
//   consume_challenge        kNonceUnknown, kNonceExpired
//   PCR selection and digest (VerifyPcrs)
//   kTpmClockRollback        of an earlier boot than the last quote. Within one
//                            boot the order is free: a user takes minutes to
//                            sign in while sessions go on.
[[nodiscard]] Result<AttestationResult<AppraisedLogin>> AppraiseLogin(
    const v1::LoginEvidence& evidence, const KnownDevice& device,
    const ExpectedLogin& expected);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_APPRAISE_LOGIN_H_
