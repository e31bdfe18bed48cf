// A lock file that also remembers whether its last holder ended in order.
//
// After a crash SQLite needs the write-ahead log that lies beside the
// database. If someone deleted it, SQLite opens an older state without a word;
// this mark is how we notice.
#ifndef COUNTERSIGN_PLATFORM_UNCLEAN_MARK_H_
#define COUNTERSIGN_PLATFORM_UNCLEAN_MARK_H_

#include <string>

#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

class UncleanMark {
 public:
  // Locks `path`: errors as LockFile (safe_path.h).
  [[nodiscard]] static Result<UncleanMark> Open(const std::string& path);

  // The last holder had called Opened(), but not Closing().
  [[nodiscard]] bool was_unclean() const { return was_unclean_; }

  // Call when the log exists. From here on a missing one is a finding.
  [[nodiscard]] Status Opened();
  // Call before the log is removed in order. Durable when it returns.
  void Closing();

 private:
  UncleanMark(OwnedHandle file, bool was_unclean)
      : file_(std::move(file)), was_unclean_(was_unclean) {}
  OwnedHandle file_;
  bool was_unclean_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_UNCLEAN_MARK_H_
