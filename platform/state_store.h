// The daemon's durable state: an ordered key-value store with transactions.
//
// One SQLite file (state.db; WAL, synchronous=FULL, mode 0600) in a folder of
// mode 0700 that our account owns. A Commit that returned success survives a
// power cut; one that failed left nothing behind. One process at a time.
// Knows nothing of what the values mean. Not thread-safe.
#ifndef COUNTERSIGN_PLATFORM_STATE_STORE_H_
#define COUNTERSIGN_PLATFORM_STATE_STORE_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::platform {

class StateStore {
 public:
  struct Write {
    std::string key;
    std::optional<Bytes> value;  // Nothing: delete.
  };
  struct Entry {
    std::string key;
    Bytes value;
  };

  // Opens or creates `directory`/state.db. Checks, in this order:
  //   kUnsafePath      the folder is a link, not ours, or open to others; a
  //                    link, FIFO, hard link or foreign file where ours belong
  //   kAlreadyRunning  another process has it open
  //   kStorageCorrupt  SQLite finds it damaged: the detail names the copy that
  //                    was set aside (state.db.corrupt-N); nothing is deleted
  //   kSchemaTooNew    written by a newer version; the detail names both
  [[nodiscard]] static Result<std::unique_ptr<StateStore>> Open(
      const std::string& directory);
  virtual ~StateStore() = default;

  [[nodiscard]] virtual Result<std::optional<Bytes>> Get(
      std::string_view key) = 0;
  // Entries whose key starts with `prefix` and sorts after `after` (bytewise),
  // in key order, at most `limit`.
  [[nodiscard]] virtual Result<std::vector<Entry>> Scan(std::string_view prefix,
                                                        std::string_view after,
                                                        size_t limit) = 0;
  // All of `writes`, or none, in one durable transaction. kDiskFull, kIoError.
  [[nodiscard]] virtual Status Commit(std::span<const Write> writes) = 0;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_STATE_STORE_H_
