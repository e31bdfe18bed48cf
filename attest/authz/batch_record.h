// Writes a decided batch: its ledger entries, the state that they speak of and
// the evidence, all within one transaction.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_BATCH_RECORD_H_
#define COUNTERSIGN_ATTEST_AUTHZ_BATCH_RECORD_H_

#include "attest/authz/batch_chain.h"
#include "attest/authz/leaf_decisions.h"

namespace countersign::authz {

struct DecidedBatch {
  const StoredDevice& device;
  const verifier::AppraisedBatch& appraised;
  const v1::BatchEvidence& evidence;
  ChainState& chain;
  const Policy& policy;
  BatchSessions& sessions;
  std::vector<LeafDecision>& leaves;
  bool late = false;
  int64_t now_ms = 0;
};

// Rechecks what may have changed since the leaves were decided, and denies
// those that it changes:
//   kDeviceRevoked, kAkRetired, kSequenceConflict, kBatchFork
//   kStorageBusy   the same batch was accepted in the meantime
//   kTpmClockRollback   the AK has shown a later clock in the meantime
//   kSessionEnded, kDuplicateAction, kTaskLimit, kApprovalUsed   of a leaf
//   alone
// What it lets pass is counted for its task.
[[nodiscard]] Status RecheckBatch(const Config& config,
                                  StoreTransaction& transaction,
                                  DecidedBatch& batch);

// Writes everything. Returns the ledger index of the first leaf; the others
// follow. A finding for a new journal stands right before it.
[[nodiscard]] Result<uint64_t> RecordBatch(const LedgerWriter& ledger,
                                           StoreTransaction& transaction,
                                           DecidedBatch& batch);

// The decision as it is kept and answered, without tokens and proof.
[[nodiscard]] v1::ActionDecision DecisionOf(const LeafDecision& leaf,
                                            const Policy& policy,
                                            uint64_t ledger_index);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_BATCH_RECORD_H_
