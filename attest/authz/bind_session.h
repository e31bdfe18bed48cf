// The coordinator of session binding: evidence in, a session and what its
// holder needs out. POST /v1/sessions.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_BIND_SESSION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_BIND_SESSION_H_

#include "attest/authz/service.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// `evidence` is hostile. In this order:
//   kMalformedStatement, kNonCanonical   the binding cannot even be read
//   kDeviceUnknown, kAkNotBound
//   the checks of verifier::AppraiseSession, the challenge spent in its place
//     (SpendChallenge)
//   kMalformedStatement   texts (CheckBindingTexts), a lifetime that is not
//                         positive, a previous session that is not known
//   kSessionOfOtherDevice the previous session is another device's
//   kUserNotVerified, kLoginEnded   see CheckLogin (login/session_login.h)
//   kWorkloadNotAllowed   no rule could ever permit this user, program and
//                         device anything
//   in the transaction, since they may have changed: kDeviceRevoked,
//   kAkRetired, kTpmClockRollback, kMalformedStatement (session_id in use)
// A change of the TPM's reset counters ends the device's earlier sessions.
// What is refused after the device is known leaves a finding, and a spent
// challenge, and nothing else.
[[nodiscard]] Result<v1::SessionAnswer> BindSession(
    const Service& service, Findings& findings,
    const v1::SessionEvidence& evidence, const Origin& origin);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_BIND_SESSION_H_
