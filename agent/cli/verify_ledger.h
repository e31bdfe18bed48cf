// Checks the ledger's part of a bundle: that session and decision are entries
// of the signed ledger, and in that order.
#ifndef COUNTERSIGN_AGENT_CLI_VERIFY_LEDGER_H_
#define COUNTERSIGN_AGENT_CLI_VERIFY_LEDGER_H_

#include "agent/cli/bundle_findings.h"
#include "agent/cli/bundle_report.h"
#include "agent/cli/trust_folder.h"

namespace countersign::agent {

// For each proof that is there, in this order:
//   kUntrustedKey           the trust folder holds no ledger key
//   kCheckpointInvalid      checkpoint not signed by it, or malformed
//   kLedgerFork             both checkpoints of one size with different roots
//   kInclusionProofInvalid  the path does not lead to the checkpoint's root
//   kMalformedStatement, kNonCanonical   the entry
//   kLedgerEntryMismatch    the entry is of another kind, device, session,
//                           action, batch or quote than the bundle's, or its
//                           decision is not the bundle's
// Then the order: kLedgerEntryMismatch unless index(session) is below
// index(decision).
void VerifyLedgerParts(const v1::EvidenceBundle& bundle,
                       const TrustFolder& trust, BundleFindings& findings,
                       BundleReport& report);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_VERIFY_LEDGER_H_
