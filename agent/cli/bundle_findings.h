// What has been established while a bundle is verified: each field is there
// only once its part holds, so that later checks rest on nothing else.
#ifndef COUNTERSIGN_AGENT_CLI_BUNDLE_FINDINGS_H_
#define COUNTERSIGN_AGENT_CLI_BUNDLE_FINDINGS_H_

#include <optional>

#include "attest/verifier/action_proof_verifier.h"
#include "attest/verifier/appraise.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::agent {

struct LoggedEntry {
  uint64_t index = 0;
  v1::LedgerEntry entry;
};

struct BundleFindings {
  std::optional<v1::DeviceRecord> record;
  std::optional<verifier::KnownDevice> device;
  std::optional<verifier::AppraisedSession> session;
  std::optional<verifier::ProvenAction> action;
  std::optional<LoggedEntry> session_entry;
  std::optional<LoggedEntry> decision_entry;
  std::string ledger_origin;  // Empty until a checkpoint holds.
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_BUNDLE_FINDINGS_H_
