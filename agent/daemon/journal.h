// What must survive a crash: where the next batch goes, the batches that the
// service has not answered, and the sessions that it holds for open.
//
// A batch is appended before its quote leaves the process; numbers of a batch
// that could not be appended were never seen by anybody and are used again.
// Quotes are not kept: after a crash the same bytes are quoted again.
// Blocks on the disk: one thread uses it, and not the event loop's.
#ifndef COUNTERSIGN_AGENT_DAEMON_JOURNAL_H_
#define COUNTERSIGN_AGENT_DAEMON_JOURNAL_H_

#include <span>
#include <string>
#include <vector>

#include "agent/daemon/state.pb.h"
#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "platform/state_store.h"

namespace countersign::agent {

// Where the next batch goes.
struct JournalHead {
  Bytes journal_id;  // 16 random bytes.
  Bytes ak_name;
  uint64_t next_batch = 0;
  uint64_t next_action = 0;
  Sha256Digest previous_batch_digest{};  // Zero for a journal's first.
};

struct JournalEntry {
  uint64_t sequence = 0;
  state::JournalledBatch batch;
};

class Journal {
 public:
  // What was found at the start.
  struct Recovered {
    JournalHead head;
    std::vector<JournalEntry> backlog;  // In order, up to the head.
    std::vector<state::OpenSession> sessions;
    // Why a new journal_id was begun; empty if the old one goes on.
    std::string new_journal_reason;
  };

  explicit Journal(platform::StateStore& store) : store_(store) {}

  // Reads what an earlier run left for the AK with `ak_name`. A head that is
  // missing, damaged, of another AK or not explained by the batches that are
  // there begins a new journal: the service records a finding, and nothing is
  // blocked for ever. Batches of the old one are then set aside.
  [[nodiscard]] Result<Recovered> Recover(ByteSpan ak_name);

  // Makes `entry` and the head after it durable, and forgets the sessions that
  // it ends and the batches that were acknowledged. kDiskFull, kIoError, or
  // kBusy when another journal has begun meanwhile: nothing has changed.
  [[nodiscard]] Status Append(const JournalEntry& entry,
                              const JournalHead& after,
                              std::span<const std::string> ended_sessions);
  // The service has answered that batch. It is forgotten with the next Append
  // or Trim; after a crash before that it is sent once more, which the service
  // answers as before.
  void Acknowledge(uint64_t sequence) { acknowledged_.push_back(sequence); }
  [[nodiscard]] Status Trim();
  // The journal cannot go on (the service lost or refused a batch): begins a
  // new one; the batches of this one are set aside under "refused/".
  [[nodiscard]] Result<JournalHead> Renew(ByteSpan ak_name);

  [[nodiscard]] Status PutSession(const state::OpenSession& session);
  [[nodiscard]] Result<state::OpenSession> GetSession(
      const std::string& session_id);
  [[nodiscard]] Status DropSession(const std::string& session_id);

 private:
  using Writes = std::vector<platform::StateStore::Write>;

  [[nodiscard]] Result<std::vector<JournalEntry>> Batches();
  [[nodiscard]] Result<std::vector<state::OpenSession>> Sessions();
  [[nodiscard]] Status SetAside();
  void ForgetAcknowledged(Writes& writes) const;

  platform::StateStore& store_;
  Bytes journal_id_;  // The one that goes on.
  std::vector<uint64_t> acknowledged_;
};

// What a batch statement says, compared with the head that it follows. The
// head after it, or kStorageCorrupt.
[[nodiscard]] Result<JournalHead> HeadAfter(const JournalHead& head,
                                            const JournalEntry& entry);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_JOURNAL_H_
