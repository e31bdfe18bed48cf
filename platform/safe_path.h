// Whether a file or folder is ours alone to write (adversary A46).
//
// A daemon that follows a link planted in its folder, or trusts a database
// that someone else can write, does what the planter wants. Every check names
// the path that failed.
#ifndef COUNTERSIGN_PLATFORM_SAFE_PATH_H_
#define COUNTERSIGN_PLATFORM_SAFE_PATH_H_

#include <string>

#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

// The folder part of `path`: "." when there is none.
[[nodiscard]] std::string FolderOf(const std::string& path);

enum class FolderUse {
  kShared,   // Others may look; only we and root may change it, or it is
             // sticky like /tmp.
  kPrivate,  // Ours, and closed to all others.
};

// kUnsafePath unless `path` is a folder, not a link to one, fit for `use`.
[[nodiscard]] Status CheckFolder(const std::string& path, FolderUse use);

// kUnsafePath unless there is nothing at `path`, or a regular file of ours
// with one name that others cannot write.
[[nodiscard]] Status CheckOwnFileOrNothing(const std::string& path);

// Opens or creates `path` (mode 0600) and locks it for this process, for as
// long as the handle lives. kAlreadyRunning when another process has the
// lock; else as CheckOwnFileOrNothing.
[[nodiscard]] Result<OwnedHandle> LockFile(const std::string& path);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_SAFE_PATH_H_
