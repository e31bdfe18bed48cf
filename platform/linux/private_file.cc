#include "platform/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/handle.h"

namespace countersign::platform {
namespace {

tl::unexpected<Error> FailWith(const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return Fail(full ? ErrorCode::kDiskFull : ErrorCode::kIoError,
              path + ": " + strerror(error));
}

// 0, or errno.
int WriteAll(Handle file, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return ::fsync(file) == 0 ? 0 : errno;
}

}  // namespace

Status WritePrivateFile(const std::string& path, ByteSpan bytes) {
  std::string temporary = path + ".XXXXXX";
  const OwnedHandle file(::mkostemp(temporary.data(), O_CLOEXEC));  // 0600
  if (!file.valid()) return FailWith(path, errno);
  int error = WriteAll(file.get(), bytes);
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) {
    error = errno;
  }
  if (error != 0) {
    ::unlink(temporary.c_str());
    return FailWith(path, error);
  }
  // The name is durable once its folder is.
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const OwnedHandle directory(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid()) ::fsync(directory.get());
  return {};
}

}  // namespace countersign::platform
