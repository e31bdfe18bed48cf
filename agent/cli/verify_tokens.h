// Checks the tokens of a bundle: that each is the service's, and about this
// session and this action. None is presented to anybody here; that a token
// was used, or used once, is not for a bundle to show.
#ifndef COUNTERSIGN_AGENT_CLI_VERIFY_TOKENS_H_
#define COUNTERSIGN_AGENT_CLI_VERIFY_TOKENS_H_

#include "agent/cli/bundle_findings.h"
#include "agent/cli/bundle_report.h"
#include "agent/cli/trust_folder.h"

namespace countersign::agent {

// Each of these does nothing where its token is absent. All check the JWS
// under the service's keys with its one `typ` (jose::VerifyJws) first.

// kJwsClaims unless iss is the device record's issuer and cnf.jwk is the
// session's key.
void VerifyClientAttestation(const v1::EvidenceBundle& bundle,
                             const TrustFolder& trust,
                             const BundleFindings& findings,
                             BundleReport& report);

// jose::CheckClaims (issuer, the audience that the action names, times, as of
// when it was issued), then kJwsClaims unless the grant names this device,
// session, session key, action and ledger entry, and no other lifetime or jti
// than the entry.
void VerifyGrant(const v1::EvidenceBundle& bundle, const TrustFolder& trust,
                 const BundleFindings& findings, BundleReport& report);

// The same for the receipt: this action, its body's digest and decision.
void VerifyReceipt(const v1::EvidenceBundle& bundle, const TrustFolder& trust,
                   const BundleFindings& findings, BundleReport& report);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_VERIFY_TOKENS_H_
