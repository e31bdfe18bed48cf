#include "platform/trusted_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/handle.h"

namespace countersign::platform {
namespace {

tl::unexpected<Error> Errno(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return Fail(ErrorCode::kNotFound, path);
    case ELOOP:
      return Fail(ErrorCode::kUnsafePath, path + " is a symbolic link");
    default:
      return Fail(ErrorCode::kIoError, path + ": " + ::strerror(error));
  }
}

Result<OwnedHandle> OpenFile(const std::string& path, int flags,
                             struct stat& status) {
  // Non-blocking, so that a FIFO put in the file's place cannot hold us up.
  OwnedHandle file(::open(
      path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags));
  if (!file.valid()) return Errno(path, errno);
  if (::fstat(file.get(), &status) != 0) return Errno(path, errno);
  return file;
}

Status CheckTrusted(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kUnsafePath, path + " is not a regular file");
  }
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return Fail(ErrorCode::kUnsafePath,
                path + " belongs to uid " + std::to_string(status.st_uid) +
                    "; it must belong to root or to this account");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Fail(ErrorCode::kUnsafePath,
                path + " is writable by others; run: chmod go-w " + path);
  }
  return {};
}

// Files of the kernel say that they are empty: read until the end.
Result<Bytes> ReadAll(const std::string& path, const OwnedHandle& file,
                      size_t max_bytes) {
  Bytes contents;
  uint8_t chunk[16 * 1024];
  while (true) {
    const ssize_t n = ::read(file.get(), chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno(path, errno);
    if (n == 0) return contents;
    if (contents.size() + static_cast<size_t>(n) > max_bytes) {
      return Fail(
          ErrorCode::kTooLarge,
          path + " is longer than " + std::to_string(max_bytes) + " bytes");
    }
    contents.insert(contents.end(), chunk, chunk + n);
  }
}

}  // namespace

Result<OwnedHandle> OpenTrustedFile(const std::string& path) {
  struct stat status = {};
  CS_ASSIGN_OR_RETURN(OwnedHandle file, OpenFile(path, O_NOFOLLOW, status));
  CS_RETURN_IF_ERROR(CheckTrusted(path, status));
  return file;
}

Result<Bytes> ReadTrustedFile(const std::string& path, size_t max_bytes) {
  CS_ASSIGN_OR_RETURN(const OwnedHandle file, OpenTrustedFile(path));
  return ReadAll(path, file, max_bytes);
}

Result<Bytes> ReadWholeFile(const std::string& path, size_t max_bytes) {
  struct stat status = {};
  CS_ASSIGN_OR_RETURN(const OwnedHandle file, OpenFile(path, 0, status));
  if (!S_ISREG(status.st_mode)) return Fail(ErrorCode::kNotAFile, path);
  return ReadAll(path, file, max_bytes);
}

Result<FileIdentity> TrustedProgram(const std::string& path) {
  struct stat status = {};
  CS_ASSIGN_OR_RETURN(const OwnedHandle file,
                      OpenFile(path, O_NOFOLLOW, status));
  CS_RETURN_IF_ERROR(CheckTrusted(path, status));
  return FileIdentity{status.st_dev, status.st_ino};
}

}  // namespace countersign::platform
