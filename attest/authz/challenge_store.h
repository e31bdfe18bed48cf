// Challenges: 32 random bytes, good once, for one device and one purpose,
// for at most two minutes, over the connection that asked for them. Those for
// a login live ten, over any connection.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_CHALLENGE_STORE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_CHALLENGE_STORE_H_

#include "attest/authz/service.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

inline constexpr std::string_view kPurposeSession = "session";
inline constexpr std::string_view kPurposeEpoch = "epoch";
inline constexpr std::string_view kPurposeLogin = "login";
inline constexpr std::string_view kPurposeLogout = "logout";
inline constexpr int64_t kLoginChallengeTtlS = 600;  // A user takes minutes.

// POST /v1/challenges.
//   "session"  a challenge, kept until it is spent or expires
//   "epoch"    an epoch nonce, and the leases of `session_ids`
//   "login"    a challenge, and how to ask the identity provider
//   "logout"   the same, without asking it
//   kBadRequest      purpose, device_id not 16 bytes, request_nonce not 16,
//                    more than 256 sessions
//   kNoProvider, and what Provider::Facts gives   ("login")
//   kDeviceUnknown, kDeviceRevoked   ("epoch" tells a revoked device by its
//                    leases, so that its sessions end)
[[nodiscard]] Result<v1::ChallengeAnswer> IssueChallenge(
    const Service& service, const v1::ChallengeRequest& request,
    const Origin& origin);

// Spends a session challenge: of several callers with the same nonce exactly
// one succeeds. A nonce of another device stays unspent. Nothing else about
// the session is judged here.
//   kNonceUnknown           never issued, spent, or for another device
//   kNonceExpired
//   kChannelBindingMismatch the session comes over another connection than
//                           the one that asked, or over TLS 1.2 where
//                           configuration requires a bound channel
[[nodiscard]] Status SpendChallenge(const Service& service, ByteSpan nonce,
                                    ByteSpan device_id, const Origin& origin);

// The same of a login's challenge. kNonceUnknown, kNonceExpired.
[[nodiscard]] Status SpendLoginChallenge(const Service& service, ByteSpan nonce,
                                         ByteSpan device_id);

// The lease of session `id` as `device_id` may hear of it.
[[nodiscard]] Result<v1::Lease> LeaseOf(const Service& service, StoreView& view,
                                        ByteSpan id, const DeviceRow& device);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_CHALLENGE_STORE_H_
