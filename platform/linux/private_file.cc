#include "platform/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

const char* KindOf(mode_t mode) {
  if (S_ISLNK(mode))
    return "a symbolic link, which is neither followed nor replaced";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISFIFO(mode)) return "a FIFO";
  return "no regular file";
}

// Nothing there, or a file that may be replaced. What is put there afterwards
// is put there by someone who may write to the folder anyhow.
Status CheckTarget(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return FailWith(path, errno);
  }
  if (S_ISREG(found.st_mode)) return {};
  return Fail(ErrorCode::kNotAFile, path + " is " + KindOf(found.st_mode));
}

// A new file of mode 0600 in the folder of `path`; `temporary` is its name.
Result<OwnedHandle> MakeBeside(const std::string& path,
                               std::string& temporary) {
  CS_RETURN_IF_ERROR(CheckTarget(path));
  temporary = path + ".XXXXXX";
  OwnedHandle file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return FailWith(path, errno);
  return file;
}

}  // namespace

Status CheckPrivateFile(const std::string& path) {
  std::string temporary;
  CS_RETURN_IF_ERROR(MakeBeside(path, temporary));
  return ::unlink(temporary.c_str()) == 0 ? Status() : FailWith(path, errno);
}

Status WritePrivateFile(const std::string& path, ByteSpan bytes) {
  std::string temporary;
  CS_ASSIGN_OR_RETURN(const OwnedHandle file, MakeBeside(path, temporary));
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
