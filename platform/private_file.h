// Writes files that only this account may read.
#ifndef COUNTERSIGN_PLATFORM_PRIVATE_FILE_H_
#define COUNTERSIGN_PLATFORM_PRIVATE_FILE_H_

#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::platform {

// Puts `bytes` at `path` with mode 0600, whole or not at all: whoever reads
// sees the old file or the new one, also after a crash. Replaces a symbolic
// link rather than following it.
//   kDiskFull  no space
//   kIoError   anything else, with the path and the reason
[[nodiscard]] Status WritePrivateFile(const std::string& path, ByteSpan bytes);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_PRIVATE_FILE_H_
