#include "attest/authz/batch_chain.h"

namespace countersign::authz {
namespace {

constexpr size_t kJournalIdSize = 16;

}  // namespace

Result<ChainState> ReadChain(StoreView& view, const v1::ActionBatch& batch,
                             const Sha256Digest& digest) {
  ChainState chain;
  const Bytes ak_name = ToBytes(AsBytes(batch.ak_name()));
  const Bytes journal_id = ToBytes(AsBytes(batch.journal_id()));
  CS_ASSIGN_OR_RETURN(auto journal, view.FindJournal(ak_name, journal_id));
  chain.exists = journal.has_value();
  if (chain.exists) {
    chain.journal = *std::move(journal);
    CS_ASSIGN_OR_RETURN(const auto same, view.FindBatch(digest));
    chain.repeated = same.has_value();
  } else {
    chain.journal.ak_name = ak_name;
    chain.journal.journal_id = journal_id;
    CS_ASSIGN_OR_RETURN(chain.ak_has_another, view.HasJournal(ak_name));
  }
  return chain;
}

Status CheckNext(const ChainState& chain, const v1::ActionBatch& batch) {
  if (batch.journal_id().size() != kJournalIdSize ||
      batch.previous_batch_digest().size() != sizeof(Sha256Digest)) {
    return Fail(ErrorCode::kMalformedStatement,
                "journal_id or previous_batch_digest");
  }
  const JournalRow& journal = chain.journal;
  if (batch.batch_sequence() < journal.next_batch) {
    return Fail(
        ErrorCode::kBatchFork,
        "batch " + std::to_string(batch.batch_sequence()) + " is another one");
  }
  if (batch.batch_sequence() > journal.next_batch) {
    return Fail(ErrorCode::kSequenceConflict,
                "batch " + std::to_string(journal.next_batch) + " is next");
  }
  if (!Equal(AsBytes(batch.previous_batch_digest()), journal.last_digest)) {
    return Fail(ErrorCode::kBatchFork,
                "batch " + std::to_string(batch.batch_sequence()) +
                    " follows another one");
  }
  if (batch.first_action_sequence() != journal.next_action) {
    return Fail(ErrorCode::kSequenceConflict,
                "action " + std::to_string(journal.next_action) + " is next");
  }
  return {};
}

JournalRow Advance(const ChainState& chain, const v1::ActionBatch& batch,
                   const Sha256Digest& digest, const tpm::TpmClock& clock) {
  JournalRow journal = chain.journal;
  ++journal.next_batch;
  journal.next_action += batch.tree_size();
  journal.last_digest = digest;
  journal.clock = clock;
  return journal;
}

}  // namespace countersign::authz
