// Who asks as a client: the holder of a session key, shown by the session's
// client attestation and a DPoP proof.
//
// This is the combined mode of draft-ietf-oauth-attestation-based-client-auth
// (attest_jwt_client_auth_dpop): the DPoP proof is the proof of possession of
// the attested key too, since the two keys are one here. The separate PoP JWT
// would prove the same key a second time, with a second signature of a key
// that only the agent can use.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_ATTESTED_CLIENT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_ATTESTED_CLIENT_H_

#include "attest/authz/http_server.h"
#include "attest/authz/service.h"
#include "attest/jose/dpop.h"

namespace countersign::authz {

// How far `iat` of a proof may be from the service's clock, either way.
inline constexpr int64_t kDpopWindowS = 60;

struct AttestedClient {
  std::string client_id;  // `sub` of the attestation.
  jose::DpopProof proof;  // Its jkt is that of the session's key.
};

// Checks the header fields of a POST to `url`; all are hostile.
//   kAttestationInvalid  no attestation, or an OAuth-Client-Attestation-PoP
//                        beside it; its signature, type, issuer, time or key
//   kDpopInvalid         no proof, or what VerifyDpopProof refuses: the proof
//                        must be of the attested key
//   kDpopNonceNeeded     its nonce is absent, not ours, or older than epochs
//                        last: a proof cannot be made ahead of its use
// The session may have ended, and the proof have been used: the first is for
// CheckGrantLive, the second for SpendProof.
[[nodiscard]] Result<AttestedClient> CheckAttestedClient(
    const Service& service, const Request& request, const std::string& url);

// kDpopReplayed. Belongs into a transaction that commits whatever becomes of
// the request.
[[nodiscard]] Status SpendProof(StoreTransaction& transaction,
                                const jose::DpopProof& proof);

// The newest nonce, for a DPoP-Nonce field.
[[nodiscard]] std::string DpopNonce(const Service& service);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_ATTESTED_CLIENT_H_
