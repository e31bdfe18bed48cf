// Everything that is kept about one action, with every check on it made
// again: nothing is believed because a row says so, only because the evidence
// and the ledger's signature do.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_TRAIL_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_TRAIL_H_

#include <optional>
#include <string>

#include "attest/authz/audit/device_history.h"
#include "attest/authz/config.h"
#include "attest/authz/policy/policy.h"
#include "attest/authz/store.h"
#include "attest/ledger/checkpoint.h"
#include "attest/verifier/appraise.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// Which action: the hex digest of an Action, or a ledger index in decimal.
// kNotFound, also for the index of an entry that is no action's.
[[nodiscard]] Result<ActionRow> FindAction(StoreView& view,
                                           std::string_view which);

class TrailReader {
 public:
  // The newest checkpoint is opened with `log`; everything is proven to it.
  [[nodiscard]] static Result<TrailReader> Open(
      StoreView& view, const Config& config, const ledger::NoteVerifier& log);

  [[nodiscard]] const ledger::Checkpoint& checkpoint() const {
    return checkpoint_;
  }

  //   kLedgerTruncated, kLedgerEntryMismatch
  [[nodiscard]] Result<ProvenEntry> Entry(uint64_t index) const;
  // All that the ledger says of the device and the session of `decision`;
  // `session` is the entry that binds the latter, if it names one.
  [[nodiscard]] Result<DeviceHistory> History(
      const ProvenEntry& decision,
      const std::optional<ProvenEntry>& session) const;
  // The first checkpoint that covers `index`, with its time; its signature
  // is verified.
  [[nodiscard]] Result<CheckpointRow> Covering(uint64_t index) const;

  // Evidence that `entry` names by digest: kNotFound if it was erased,
  // kStorageCorrupt if it is not what its digest says.
  [[nodiscard]] Result<Bytes> Evidence(const std::string& sha256) const;

  // The record under which a device and its AK were enrolled when entry
  // `before` was written: the newest of that AK that precedes it.
  //   kNotFound             only erased records may have been of that AK
  //   kLedgerEntryMismatch  there is none, but an entry is not to be believed
  //   kAkNotBound           there is none
  struct Enrolled {
    uint64_t index = 0;
    // A newer enrollment whose record was erased, so that its AK is not known.
    std::optional<uint64_t> newer_erased;
    v1::DeviceRecord record;
    verifier::KnownDevice device;
  };
  [[nodiscard]] Result<Enrolled> Enrollment(const DeviceHistory& history,
                                            ByteSpan device_id,
                                            ByteSpan ak_name,
                                            uint64_t before) const;

  // The batch that `decision` is about, appraised as it was then, but for
  // clock and chain.
  struct JudgedBatch {
    Enrolled enrolled;
    verifier::AppraisedBatch batch;
    v1::DecisionRecord decided;  // As it was kept; shown by nothing.
  };
  [[nodiscard]] Result<JudgedBatch> Batch(const ProvenEntry& decision,
                                          const DeviceHistory& history) const;
  // The session that `bound` binds, appraised as it was then, but for nonce,
  // channel and clock.
  struct JudgedSession {
    verifier::AppraisedSession session;
    size_t boot_events = 0;
  };
  [[nodiscard]] Result<JudgedSession> Session(
      const ProvenEntry& bound, const DeviceHistory& history) const;

  [[nodiscard]] StoreView& view() const { return view_; }

 private:
  TrailReader(StoreView& view, const Config& config,
              const ledger::NoteVerifier& log, ledger::Checkpoint checkpoint)
      : view_(view),
        config_(config),
        log_(log),
        checkpoint_(std::move(checkpoint)) {}

  StoreView& view_;
  const Config& config_;
  const ledger::NoteVerifier& log_;
  ledger::Checkpoint checkpoint_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_TRAIL_H_
