// The coordinator of authorization: a batch of quoted actions in, a decision
// for each out, and grants for what is permitted. POST /v1/actions.
//
//   appraise → decide → ledger → grant
//
// No entry in the ledger, no grant: tokens are signed after the commit that
// holds the decision, never before, and the same batch brought again gets the
// decisions that were committed.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUTHORIZE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUTHORIZE_H_

#include <optional>

#include "attest/authz/rate_limiter.h"
#include "attest/authz/service.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

struct BatchOutcome {
  v1::BatchAnswer answer;
  // kSequenceConflict and kBatchFork: nothing was accepted, and the answer
  // says what is expected. kRateLimited: `answer.error` says for how long.
  std::optional<Error> refused;
};

class Authorizer {
 public:
  Authorizer(const Service& service, Findings& findings);

  // `evidence` is hostile. In this order:
  //   kMalformedStatement, kNonCanonical   the batch cannot even be read
  //   kDeviceUnknown, kAkNotBound
  //   the checks of verifier::AppraiseBatch, in their place:
  //     the chain (CheckNext), unless this very batch was accepted before
  //     kNonceUnknown    an epoch nonce that is not ours for this device
  //     kTpmClockRollback against the AK's last clock; for a late batch,
  //                      against its predecessor in the journal
  //   kRateLimited       too many batches of this device
  //   each leaf (DecideLeaves)
  //   in the transaction, since they may have changed: kDeviceRevoked,
  //   kAkRetired, the chain; and for each leaf kSessionEnded,
  //   kDuplicateAction (presented in an earlier batch), kApprovalUsed (an
  //   earlier permit of this device rests on the same approval)
  // An epoch that has expired makes a batch late: recorded, never granted.
  // What is refused after the device is known leaves a finding; a fork and a
  // new journal of a known AK do as well.
  [[nodiscard]] Result<BatchOutcome> Authorize(
      const v1::BatchEvidence& evidence);

 private:
  [[nodiscard]] Result<BatchOutcome> Try(const v1::BatchEvidence& evidence);

  const Service& service_;
  Findings& findings_;
  RateLimiter limiter_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUTHORIZE_H_
