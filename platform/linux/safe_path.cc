#include "platform/safe_path.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace countersign::platform {
namespace {

tl::unexpected<Error> Unsafe(const std::string& path, const char* why) {
  return Fail(ErrorCode::kUnsafePath, path + " " + why);
}

bool IsOursOrRoots(const struct stat& info) {
  return info.st_uid == ::geteuid() || info.st_uid == 0;
}

Status CheckOwnFile(const std::string& path, const struct stat& info) {
  if (S_ISLNK(info.st_mode)) return Unsafe(path, "is a symbolic link");
  if (!S_ISREG(info.st_mode)) return Unsafe(path, "is not a regular file");
  if (info.st_uid != ::geteuid()) return Unsafe(path, "is another user's");
  if (info.st_nlink != 1) return Unsafe(path, "has a second name (hard link)");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Unsafe(path, "can be written by others");
  }
  return {};
}

}  // namespace

std::string FolderOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status CheckFolder(const std::string& path, FolderUse use) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return Fail(ErrorCode::kUnsafePath, path + ": " + std::strerror(errno));
  }
  if (S_ISLNK(info.st_mode)) return Unsafe(path, "is a symbolic link");
  if (!S_ISDIR(info.st_mode)) return Unsafe(path, "is not a folder");
  if (use == FolderUse::kPrivate) {
    if (info.st_uid != ::geteuid()) return Unsafe(path, "is another user's");
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
      return Unsafe(path, "is open to others (its mode must be 0700)");
    }
    return {};
  }
  if (!IsOursOrRoots(info)) return Unsafe(path, "is another user's");
  const bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (others_write && (info.st_mode & S_ISVTX) == 0) {
    return Unsafe(path, "can be written by others");
  }
  return {};
}

Status CheckOwnFileOrNothing(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return Fail(ErrorCode::kIoError, path + ": " + std::strerror(errno));
  }
  return CheckOwnFile(path, info);
}

Result<OwnedHandle> LockFile(const std::string& path) {
  CS_RETURN_IF_ERROR(CheckOwnFileOrNothing(path));
  OwnedHandle file(::open(
      path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
      S_IRUSR | S_IWUSR));
  if (!file.valid()) {
    const ErrorCode code =
        errno == ELOOP ? ErrorCode::kUnsafePath : ErrorCode::kIoError;
    return Fail(code, path + ": " + std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) {
    return Fail(ErrorCode::kIoError, path + ": " + std::strerror(errno));
  }
  CS_RETURN_IF_ERROR(CheckOwnFile(path, info));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return Fail(ErrorCode::kAlreadyRunning, path + " is locked");
  }
  return file;
}

}  // namespace countersign::platform
