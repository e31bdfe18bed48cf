// The place of a batch in its journal's chain.
//
// A journal is one unbroken run of batches of one AK: numbers contiguous, each
// naming the digest of the one before. The service accepts exactly the next.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_BATCH_CHAIN_H_
#define COUNTERSIGN_ATTEST_AUTHZ_BATCH_CHAIN_H_

#include <optional>

#include "attest/authz/store.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// What the store knows of the journal that a batch (hostile) names.
struct ChainState {
  JournalRow journal;  // Of a new one: all zero.
  bool exists = false;
  bool ak_has_another = false;  // With a new journal: a finding.
  bool repeated = false;        // This very batch was accepted before.
};

[[nodiscard]] Result<ChainState> ReadChain(StoreView& view,
                                           const v1::ActionBatch& batch,
                                           const Sha256Digest& digest);

// Whether `batch` is the next one.
//   kMalformedStatement  journal_id is not 16 bytes, or previous_batch_digest
//                        not 32
//   kBatchFork           its number was taken by another batch, or it is the
//                        next and names another predecessor: a finding
//   kSequenceConflict    it is ahead, or numbers its actions otherwise
[[nodiscard]] Status CheckNext(const ChainState& chain,
                               const v1::ActionBatch& batch);

// The journal after `batch`, which CheckNext let pass.
[[nodiscard]] JournalRow Advance(const ChainState& chain,
                                 const v1::ActionBatch& batch,
                                 const Sha256Digest& digest,
                                 const tpm::TpmClock& clock);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_BATCH_CHAIN_H_
