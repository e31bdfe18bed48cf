// The coordinators of appraisal: evidence in, AttestationResult out, each a
// straight list of guarded calls. Pure but for the one question that only the
// service's state can answer, which is asked at its place in the order.
//
// Not judged here, since it is policy: the user, the workload, times on the
// laptop's clock, whether an action is permitted.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_APPRAISE_H_
#define COUNTERSIGN_ATTEST_VERIFIER_APPRAISE_H_

#include <functional>

#include "attest/verifier/attestation_result.h"
#include "attest/verifier/batch_verifier.h"

namespace countersign::verifier {

struct ExpectedSession {
  // Clock of the last quote accepted from this AK; nothing before the first.
  std::optional<tpm::TpmClock> last_clock;
  // RFC 9266 exporter of the connection that brought the evidence; nothing:
  // not judged (offline).
  std::optional<Bytes> tls_exporter;
  // Whether evidence that names no connection is accepted.
  bool allow_unbound_channel = false;
  // Must be set. Consumes the challenge, once and for all (kNonceUnknown,
  // kNonceExpired).
  // Asked only for evidence that the device's TPM signed for this issuer.
  std::function<Status(const v1::SessionBinding&)> consume_nonce;
};

struct AppraisedSession {
  v1::SessionBinding binding;
  Sha256Digest digest;  // Of the binding's statement: names the session.
  QuotedPcrs pcrs;
  bool channel_bound = false;
  // Counters differ from last_clock: earlier sessions have ended.
  bool new_boot = false;
};

// Appraises a session binding, hostile. In this order:
//   kTooLarge                event log over 384 KiB
//   statement type, digest, quote and its signature (VerifyQuotedStatement)
//   kMalformedStatement, kNonCanonical
//   kWrongIssuer, kWrongTenant, kSessionOfOtherDevice, kAkNotBound
//   device.out_of_service    kDeviceRevoked, kAkRetired
//   consume_nonce            kNonceUnknown, kNonceExpired
//   kChannelBindingMismatch  made for another connection
//   PCR selection and digest (VerifyPcrs)
//   kEventLogMismatch        the log is not the one that was quoted
//   the event log (VerifyEventLog)
//   kTpmClockRollback
//   the session key (VerifySessionKey)
[[nodiscard]] Result<AttestationResult<AppraisedSession>> AppraiseSession(
    const v1::SessionEvidence& evidence, const KnownDevice& device,
    const ExpectedSession& expected);

struct ExpectedBatch {
  // Clock of the last quote accepted from this AK; for a late batch, of its
  // predecessor in the chain.
  std::optional<tpm::TpmClock> last_clock;
  // Must be set. Judges the epoch nonce and the place in the journal's chain
  // (kEpochExpired, kSequenceConflict, kBatchFork). Asked only for a batch
  // that the device's TPM signed for this issuer.
  std::function<Status(const v1::ActionBatch&, const Sha256Digest& digest)>
      check_chain;
};

struct AppraisedBatch {
  v1::ActionBatch batch;
  Sha256Digest digest;
  QuotedPcrs pcrs;
  std::vector<Result<BatchLeaf>> leaves;  // An error denies that leaf alone.
};

// Appraises a batch, hostile, with one signature check. In this order:
//   kTooLarge                over 2,048 leaves or 768 KiB
//   statement type, digest, quote and its signature (VerifyQuotedStatement)
//   kMalformedStatement, kNonCanonical
//   kWrongIssuer, kSessionOfOtherDevice, kAkNotBound
//   device.out_of_service    kDeviceRevoked, kAkRetired
//   check_chain
//   the tree and the leaves' numbers (VerifyLeaves)
//   PCR selection and digest (VerifyPcrs)
//   kTpmClockRollback
// Each leaf's session is for the caller, with CheckLeafSession.
[[nodiscard]] Result<AttestationResult<AppraisedBatch>> AppraiseBatch(
    const v1::BatchEvidence& evidence, const KnownDevice& device,
    const ExpectedBatch& expected);

// What a session was bound with.
struct SessionFacts {
  Bytes device_id;
  tpm::TpmClock clock;
  Sha256Digest pcr_digest;
};

// Checks that a leaf's session is of this device, this boot and the same
// measurements as the batch:
//   kSessionOfOtherDevice, kStaleBoot, kPcrDigestMismatch
[[nodiscard]] Status CheckLeafSession(const SessionFacts& session,
                                      const KnownDevice& device,
                                      const QuotedPcrs& batch_pcrs);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_APPRAISE_H_
