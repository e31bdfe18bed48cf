// Writes files that only this account may read.
#ifndef COUNTERSIGN_PLATFORM_PRIVATE_FILE_H_
#define COUNTERSIGN_PLATFORM_PRIVATE_FILE_H_

#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::platform {

// Puts `bytes` at `path` with mode 0600, whole or not at all: whoever reads
// sees the old file or the new one, also after a crash.
//   kNotAFile  what is there is a link, folder, device, FIFO or socket. A link
//              may be another user's trap: followed, it says what is
//              overwritten; replaced, like a device, it breaks whoever uses it.
//   kDiskFull  no space
//   kIoError   anything else, with the path and the reason
[[nodiscard]] Status WritePrivateFile(const std::string& path, ByteSpan bytes);

// Whether WritePrivateFile could write there now, found by making an empty file
// beside it that is gone again. Same errors. For callers who must not get what
// they could not keep.
[[nodiscard]] Status CheckPrivateFile(const std::string& path);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_PRIVATE_FILE_H_
