// Whether a session's user is verified as the configuration asks.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_SESSION_LOGIN_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_SESSION_LOGIN_H_

#include "attest/authz/service.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// The login that an appraised binding names; nothing if it names none and need
// not.
//   kLoginEnded       unknown, ended, expired, of another device or OS user
//   kUserNotVerified  none is named, and the configuration asks for one; or
//                     the binding claims one without naming it
[[nodiscard]] Result<std::optional<LoginRow>> CheckLogin(
    const Service& service, StoreView& view, const v1::SessionBinding& binding);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_SESSION_LOGIN_H_
