#include "attest/authz/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace countersign::authz {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<Error> Failed(const std::string& path) {
  const ErrorCode code = errno == ENOSPC || errno == EDQUOT
                             ? ErrorCode::kDiskFull
                         : errno == ENOENT ? ErrorCode::kNotFound
                                           : ErrorCode::kIoError;
  return Fail(code, path + ": " + std::strerror(errno));
}

Status WriteDurably(const std::string& path, std::string_view content,
                    int flags, int mode) {
  const FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (file.get() < 0) return Failed(path);
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed(path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(file.get()) != 0) return Failed(path);
  return {};
}

Status SyncFolderOf(const std::string& path) {
  const std::string folder =
      std::filesystem::absolute(path).parent_path().string();
  const FileDescriptor fd(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) return Failed(folder);
  return {};
}

Result<std::string> ReadAll(const FileDescriptor& file, const std::string& path,
                            size_t max_size) {
  std::string content(max_size + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t got =
        ::read(file.get(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max_size) return Fail(ErrorCode::kTooLarge, path);
  content.resize(size);
  return content;
}

Status CheckOwnerAndMode(const std::string& path, const struct stat& info) {
  const uid_t self = ::geteuid();
  if (info.st_uid != 0 && info.st_uid != self) {
    return Fail(ErrorCode::kUnsafePath,
                path + ": belongs to uid " + std::to_string(info.st_uid) +
                    (self == 0 ? "; run this under that account, or run: chown "
                               : "; run: chown ") +
                    std::to_string(self) + " " + path);
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Fail(ErrorCode::kUnsafePath,
                path + ": others may write to it; run: chmod go-w " + path);
  }
  return {};
}

Status CheckFolderOf(const std::string& path) {
  std::error_code failed;
  const std::string folder =
      std::filesystem::absolute(path, failed).parent_path().string();
  struct stat info = {};
  if (::stat(folder.c_str(), &info) != 0) return Failed(path);
  if ((info.st_mode & S_ISVTX) != 0) info.st_mode &= ~(S_IWGRP | S_IWOTH);
  return CheckOwnerAndMode(folder, info);
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, size_t max_size) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Failed(path);
  return ReadAll(file, path, max_size);
}

Result<std::string> ReadTrustedFile(const std::string& path, size_t max_size) {
  CS_RETURN_IF_ERROR(CheckFolderOf(path));
  // A pipe would be waited for, and is refused below.
  const FileDescriptor file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return Failed(path);
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return Failed(path);
  if (!S_ISREG(info.st_mode)) {
    return Fail(ErrorCode::kUnsafePath, path + ": must be a regular file");
  }
  CS_RETURN_IF_ERROR(CheckOwnerAndMode(path, info));
  return ReadAll(file, path, max_size);
}

Status CheckTrustedPath(const std::string& path) {
  CS_RETURN_IF_ERROR(CheckFolderOf(path));
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return Failed(path);
  return CheckOwnerAndMode(path, info);
}

Status ReplaceFile(const std::string& path, std::string_view content,
                   int mode) {
  const std::string sibling = path + ".new";
  CS_RETURN_IF_ERROR(
      WriteDurably(sibling, content, O_WRONLY | O_CREAT | O_TRUNC, mode));
  if (::rename(sibling.c_str(), path.c_str()) != 0) return Failed(path);
  return SyncFolderOf(path);
}

Status OverwriteAt(const std::string& path, size_t offset,
                   std::string_view content) {
  const FileDescriptor file(
      ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) return Failed(path);
  while (!content.empty()) {
    const ssize_t written = ::pwrite(file.get(), content.data(), content.size(),
                                     static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed(path);
    content.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<size_t>(written);
  }
  if (::fdatasync(file.get()) != 0) return Failed(path);
  return {};
}

Status SyncFile(const std::string& path) {
  return WriteDurably(path, {}, O_WRONLY | O_NOFOLLOW, 0);
}

Status CreateFile(const std::string& path, std::string_view content, int mode) {
  CS_RETURN_IF_ERROR(
      WriteDurably(path, content, O_WRONLY | O_CREAT | O_EXCL, mode));
  return SyncFolderOf(path);
}

}  // namespace countersign::authz
