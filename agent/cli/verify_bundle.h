// Verifies an evidence bundle offline: no daemon, no service, no clock.
//
// Everything in the bundle is hostile; what is trusted lies in the folder.
// What it shows: a TPM of an enrolled device quoted this user session and this
// action, and the service logged and decided it. What it takes on trust, and
// says so: the service's word that it activated the AK in that TPM, and the
// daemon's that it saw user and workload as it wrote them down.
#ifndef COUNTERSIGN_AGENT_CLI_VERIFY_BUNDLE_H_
#define COUNTERSIGN_AGENT_CLI_VERIFY_BUNDLE_H_

#include "agent/cli/bundle_report.h"
#include "agent/cli/trust_folder.h"
#include "countersign/v1/evidence.pb.h"

namespace countersign::agent {

inline constexpr size_t kMaxBundleSize = 1u << 20;

// kTooLarge, or kMalformedEvidence: not an EvidenceBundle.
[[nodiscard]] Result<v1::EvidenceBundle> ParseBundle(ByteSpan bytes);

// Judges every part that is there. In this order, each part with the errors of
// the function that checks it:
//   device record       jose::VerifyAnswer, verifier::KnownDeviceFrom;
//                       kDeviceRecordInvalid
//   EK chain            verifier::VerifyEkChain, at the time of enrollment
//   session             verifier::AppraiseSession (quote, binding, boot log,
//                       session key)
//   client attestation  see verify_tokens.h
//   action              verifier::VerifyActionProof (quote, tree)
//   action's session    kSessionUnknown; verifier::CheckLeafSession
//   ledger              see verify_ledger.h
//   grant, receipt      see verify_tokens.h
// A part whose foundation is absent or failed is not judged, which is not ok.
[[nodiscard]] BundleReport VerifyBundle(const v1::EvidenceBundle& bundle,
                                        const TrustFolder& trust);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_VERIFY_BUNDLE_H_
