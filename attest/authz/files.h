// Small files of the service: read whole within a bound, written durably.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_FILES_H_
#define COUNTERSIGN_ATTEST_AUTHZ_FILES_H_

#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign::authz {

// kIoError names the path; kTooLarge over `max_size` bytes; kNotFound if there
// is no such file.
[[nodiscard]] Result<std::string> ReadFile(const std::string& path,
                                           size_t max_size);

// Of what the service rests its trust on: the same, but only from a regular
// file that nobody else can change. It and its folder belong to root or to the
// account that runs, and neither their group nor others may write; a sticky
// folder is as good.
//   kUnsafePath  names the path and the command that mends it
[[nodiscard]] Result<std::string> ReadTrustedFile(const std::string& path,
                                                  size_t max_size);
// That of a folder, or of a file that something else reads.
[[nodiscard]] Status CheckTrustedPath(const std::string& path);

// Replaces `path` so that a crash leaves the old or the new content, durable
// on return: a sibling is written, synced and renamed, the folder synced.
// kDiskFull, kIoError.
[[nodiscard]] Status ReplaceFile(const std::string& path,
                                 std::string_view content, int mode);

// Writes `content` over what `path` has at `offset`; durable on return. A crash
// leaves old, new or a mixture there, and the rest of the file as it was.
[[nodiscard]] Status OverwriteAt(const std::string& path, size_t offset,
                                 std::string_view content);

// Makes what another writer left in `path` durable.
[[nodiscard]] Status SyncFile(const std::string& path);

// Creates `path` with `mode`; kIoError if it exists.
[[nodiscard]] Status CreateFile(const std::string& path,
                                std::string_view content, int mode);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_FILES_H_
