// What a resource server may learn and do about a grant that was presented to
// it: introspection (RFC 7662, signed RFC 9701), revocation (RFC 7009) and
// reports of use. All of them are uses that the ledger hears of.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_INTROSPECTION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_INTROSPECTION_H_

#include "attest/authz/http_server.h"
#include "attest/authz/service.h"

namespace countersign::authz {

// POST /oauth/introspect {token}, by a registered resource server.
//   as Form::Parse, AuthenticateResourceServer
// {"active":false} for everything but a live grant (CheckGrantLive) whose
// audience is the resource server's: it learns nothing of others. Else the
// grant's own claims. An active answer is a use: the ledger gets an entry
// "introspected" before it, at most one per grant and minute. With Accept:
// application/token-introspection+jwt the answer is a JWT for that client.
[[nodiscard]] Response IntrospectToken(const Service& service,
                                       const Request& request);

// POST /oauth/revoke {token}, by the session it was issued to (attestation and
// DPoP proof) or by a registered resource server of its audience. 200 for a
// token that is none, or revoked already (RFC 7009 §2.2).
//   as Form::Parse, CheckAttestedClient, SpendProof, AuthenticateResourceServer
//   kNotYourGrant  of another session or audience
// State and ledger entry are one transaction.
[[nodiscard]] Response RevokeToken(const Service& service,
                                   const Request& request);

// POST /v1/reports, a UseReport: what became of a grant that was presented.
// Each outcome of a grant is recorded once.
//   as ParseBody, AuthenticateResourceServer (Basic, or the assertion within)
//   kBadRequest    outcome is not "used", "refused" or "failed"
//   kNotFound      no such action or grant, or its evidence was erased
//   kNotYourGrant  of another audience
[[nodiscard]] Response ReportUse(const Service& service,
                                 const Request& request);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_INTROSPECTION_H_
