// Appends to the ledger and signs its checkpoints.
//
// Append runs inside the transaction that changes the state the entries speak
// of: either both happened or neither. Publish runs after it, and signs a
// checkpoint only if it extends the head kept outside the database. Any
// number of threads and processes may do either at once.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LEDGER_WRITER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LEDGER_WRITER_H_

#include <atomic>
#include <limits>
#include <mutex>
#include <span>
#include <string>

#include "attest/authz/store.h"
#include "attest/base/clock.h"
#include "attest/ledger/head_guard.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// The tree's tiles, read through a view of the store, which it must not
// outlive.
class StoredTiles final : public ledger::TileStore {
 public:
  explicit StoredTiles(StoreView& view) : view_(view) {}
  [[nodiscard]] Result<Bytes> ReadTile(const ledger::TileId& id,
                                       int width) const override;

 private:
  StoreView& view_;
};

class LedgerWriter {
 public:
  LedgerWriter(Store& store, const ledger::LedgerKey& key,
               std::string head_path, const Clock& clock)
      : store_(store),
        key_(key),
        head_path_(std::move(head_path)),
        clock_(clock) {}

  // Appends `entries` in order, each stamped with the service's time. Returns
  // the index of the first.
  //   kLedgerRolledBack  the database has fewer entries than this process has
  //                      published: a running service notices a restored one
  [[nodiscard]] Result<uint64_t> Append(
      StoreTransaction& transaction, std::span<v1::LedgerEntry> entries) const;

  // The first call for a ledger, which has no head file yet.
  [[nodiscard]] Status PublishFirst() { return PublishHead(0, true); }

  // Makes sure that a stored checkpoint covers entry `index`, which is
  // committed.
  //   kLedgerRolledBack, kLedgerFork  the database contradicts the head file:
  //                                   nothing more may be answered
  [[nodiscard]] Status Publish(uint64_t index) {
    return PublishHead(index, false);
  }

  // The first call on a further host, for a ledger that others keep: trusts
  // the newest checkpoint, having no head file to hold it against, and makes
  // that file from it. Returns what it trusted.
  //   kBadRequest         there is a head file
  //   kLedgerTruncated    no checkpoint yet
  //   kCheckpointInvalid  the checkpoint is not under our key
  //   kLedgerFork         the database is not what the checkpoint says
  [[nodiscard]] Result<ledger::TreeHead> Join();

  // For the start of the service: the database must extend the head file.
  [[nodiscard]] Status CheckHead() { return PublishHead(0, false); }

  // Takes over what other processes have signed, as if this one had: else a
  // host that is idle would not notice a database that lacks only what others
  // wrote, and could write it anew. Call it often.
  // Errors as Publish.
  [[nodiscard]] Status Follow() {
    return PublishHead(std::numeric_limits<uint64_t>::max(), false);
  }

  // Entry `index` with its path to the newest checkpoint, which covers it.
  [[nodiscard]] static Result<v1::LedgerProof> Prove(StoreView& view,
                                                     uint64_t index);

  [[nodiscard]] const std::string& origin() const {
    return key_.verifier().name();
  }

 private:
  [[nodiscard]] Status PublishHead(uint64_t index, bool first);

  Store& store_;
  const ledger::LedgerKey& key_;
  const std::string head_path_;
  const Clock& clock_;
  std::mutex mutex_;
  std::atomic<uint64_t> published_size_ = 0;
};

// The pseudonym of `subject` in the ledger: HMAC under a key of its own, made
// here if there is none. Erasing the key unlinks all entries.
[[nodiscard]] Result<std::string> SubjectPseudonym(
    StoreTransaction& transaction, std::string_view subject);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LEDGER_WRITER_H_
