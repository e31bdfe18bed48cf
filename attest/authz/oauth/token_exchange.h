// POST /oauth/token: RFC 8693 token exchange for standard OAuth clients. It
// decides nothing: it hands out, once, the grant of an action that was
// permitted and logged already.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_TOKEN_EXCHANGE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_TOKEN_EXCHANGE_H_

#include "attest/authz/http_server.h"
#include "attest/authz/service.h"

namespace countersign::authz {

// The subject token is the action's receipt: a token of this service's that
// names action and audience, lives 60 s, and is worth nothing here without the
// session's key. (An action's digest would not do: digests stand in the public
// ledger.) Checks, in this order; everything is hostile:
//   as Form::Parse
//   as CheckAttestedClient, SpendProof
//   kNotSupported        grant_type is not token exchange
//   kBadRequest          subject_token or its type absent or another type;
//                        requested_token_type is not an access token; an
//                        actor_token; client_id is not the attestation's sub
//   kScopeNotOffered, kDetailsNotOffered   scope, authorization_details
//   as VerifyJws and CheckClaims   the receipt
//   kAudienceNotAllowed  audience or resource is not the action's
//   kNotFound, kNoGrant  no such decision, or it permitted no grant
//   kSessionKeyMismatch  of a session with another key
//   as CheckGrantLive    device, session, grant
//   kTokenExpired        the grant has expired
//   kGrantRedeemed       fetched before
// The answer is the decision's own grant: same jti, same exp.
[[nodiscard]] Response ExchangeToken(const Service& service,
                                     const Request& request);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_TOKEN_EXCHANGE_H_
