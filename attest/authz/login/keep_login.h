// Writes down who signed in, or that somebody is about to.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_KEEP_LOGIN_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_KEEP_LOGIN_H_

#include "attest/authz/login/provider.h"
#include "attest/authz/service.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// A login statement that was appraised.
struct VerifiedLogin {
  const v1::Login& login;
  const v1::LoginEvidence& evidence;
  Sha256Digest attest_sha256{};
};

// The login's row and ledger entry, and the end of logins of other users on
// that account of the device: one transaction. What names the person goes into
// the evidence beside the ledger alone. `pending`, if any, is the sign-in that
// this finishes; it is marked as done in the same transaction.
//   kDeviceRevoked, kAkRetired  meanwhile
[[nodiscard]] Result<v1::LoginAnswer> KeepLogin(const Service& service,
                                                const VerifiedLogin& verified,
                                                const SignedIn& signed_in,
                                                PendingLoginRow* pending);

// The answer about a login that was kept before.
[[nodiscard]] v1::LoginAnswer AnswerFor(const LoginRow& row,
                                        const std::string& display_name);

[[nodiscard]] Result<v1::LoginAnswer> KeepPending(
    const Service& service, const VerifiedLogin& verified,
    const DeviceAuthorization& started);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_KEEP_LOGIN_H_
