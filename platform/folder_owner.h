// Whose folder a file or socket lies in.
#ifndef COUNTERSIGN_PLATFORM_FOLDER_OWNER_H_
#define COUNTERSIGN_PLATFORM_FOLDER_OWNER_H_

#include <cstdint>
#include <string>

#include "attest/base/result.h"

namespace countersign::platform {

// The account that owns the folder of `path`. kUnsafePath when the folder is a
// symbolic link or no folder, kNotFound when there is none.
[[nodiscard]] Result<uint32_t> OwnerOfFolderOf(const std::string& path);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_FOLDER_OWNER_H_
