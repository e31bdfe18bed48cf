// Checkpoints (C2SP tlog-checkpoint): what the ledger's key signs about the
// whole ledger.
//
//   ORIGIN \n SIZE \n base64(ROOT) \n [extension lines]
#ifndef COUNTERSIGN_ATTEST_LEDGER_CHECKPOINT_H_
#define COUNTERSIGN_ATTEST_LEDGER_CHECKPOINT_H_

#include <string>
#include <string_view>

#include "attest/ledger/note.h"

namespace countersign::ledger {

struct TreeHead {
  uint64_t size = 0;
  Sha256Digest root{};
  bool operator==(const TreeHead&) const = default;
};

struct Checkpoint {
  std::string origin;  // Schema-less URL of the log; also its key's name.
  TreeHead head;
  bool operator==(const Checkpoint&) const = default;
};

[[nodiscard]] std::string FormatCheckpoint(const Checkpoint& checkpoint);

// Parses the text of a note that verified. Extension lines are ignored.
// kCheckpointInvalid: lines missing or empty; a size that is not a canonical
// decimal below 2^63; a root that is not 32 bytes of canonical base64.
[[nodiscard]] Result<Checkpoint> ParseCheckpoint(std::string_view text);

// Signs without asking: only ExtendHead (head_guard.h) calls this in the
// service, since two contradicting checkpoints can never be taken back.
[[nodiscard]] Result<std::string> SignCheckpoint(const Checkpoint& checkpoint,
                                                 const LedgerKey& key);

// The checkpoint in `note` (hostile). kCheckpointInvalid: not signed by
// `log`, malformed, or its origin is not the log's name.
[[nodiscard]] Result<Checkpoint> OpenCheckpoint(std::string_view note,
                                                const NoteVerifier& log);

}  // namespace countersign::ledger

#endif  // COUNTERSIGN_ATTEST_LEDGER_CHECKPOINT_H_
