#include "platform/folder_owner.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

namespace countersign::platform {

Result<uint32_t> OwnerOfFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  struct stat found {};
  if (::lstat(folder.c_str(), &found) != 0) {
    return Fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnsafePath,
                folder + ": " + strerror(errno));
  }
  if (!S_ISDIR(found.st_mode)) {
    return Fail(ErrorCode::kUnsafePath, folder + " is not a folder");
  }
  return found.st_uid;
}

}  // namespace countersign::platform
