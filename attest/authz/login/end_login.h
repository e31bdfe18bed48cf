// The one way in which a login ends, whoever says so: its user, the identity
// provider's back-channel logout, another user on the same account.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_END_LOGIN_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_END_LOGIN_H_

#include <string_view>

#include "attest/authz/ledger_writer.h"
#include "attest/authz/store.h"

namespace countersign::authz {

// Why logins end; the sessions that rest on them end with the same word.
inline constexpr std::string_view kEndLoggedOut = "logged_out";
inline constexpr std::string_view kEndProviderLogout = "provider_logout";
inline constexpr std::string_view kEndAnotherUser = "another_user";

// Ends `login` and every live session that rests on it, each with a ledger
// entry, in the caller's transaction. Nothing if it has ended already.
[[nodiscard]] Status EndLogin(const LedgerWriter& ledger,
                              StoreTransaction& transaction, LoginRow& login,
                              int64_t now_ms, std::string_view reason);

// The login that the binding of `session` names; nothing if it names none.
[[nodiscard]] Result<std::optional<LoginRow>> LoginOf(
    StoreView& view, const v1::SessionBinding& binding);

// The id in a user_session_id. kLoginEnded: no service ever gave out such.
[[nodiscard]] Result<Bytes> LoginIdFrom(std::string_view user_session_id);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_END_LOGIN_H_
