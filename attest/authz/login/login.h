// How a user signs in: a statement that the device's TPM quoted, then the
// identity provider's word on who that is, then a row that sessions rest on.
//
// A coordinator, like bind_session.h. The service redeems the code itself, so
// that neither ID token nor client secret is ever on the laptop, and the
// nonce in the ID token is the digest of the quoted statement: a code that was
// given for one device, user or challenge is good for no other.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_H_

#include "attest/authz/service.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// POST /v1/logins. `evidence` is hostile. In this order:
//   kNoProvider              the service has none
//   kUpstreamUnreachable, …  the provider: nothing is spent yet
//   the checks of AppraiseLogin
//   kMalformedStatement      method, or a text of the statement
//   method "code": kBadRequest (code, verifier, redirect_uri),
//     then Provider::Redeem
//   method "device": Provider::StartDevice; the answer has a prompt
//   method "logout": kLoginEnded if it is not a login of this device and user
// Of a new login: state and ledger entry in one transaction. It ends those of
// another user on the same account of the device.
[[nodiscard]] Result<v1::LoginAnswer> PostLogin(
    const Service& service, Findings& findings,
    const v1::LoginEvidence& evidence);

// POST /v1/logins/poll. Whether the user of a device-code sign-in has signed
// in. Asks the provider no more often than that wants. The same answer again
// once there is one, for as long as the code lives.
//   kLoginUnknown    no such sign-in of this device, or it is over
//   kProviderRefused, and what the ID token fails
[[nodiscard]] Result<v1::LoginAnswer> PollLogin(
    const Service& service, const v1::LoginPollRequest& request);

// POST /v1/oidc/backchannel-logout: `token` (hostile) ends the logins that it
// names, with their sessions, in one transaction. Each token once:
//   kTokenUsed       it came before
//   what Provider::CheckLogout gives
[[nodiscard]] Status PostProviderLogout(const Service& service,
                                        std::string_view token);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_H_
