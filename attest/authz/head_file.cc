#include "attest/authz/head_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "attest/authz/files.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxHeadFile = 4096;

}  // namespace

Result<HeadFile> HeadFile::Lock(const std::string& path,
                                const std::string& origin) {
  const std::string lock_path = path + ".lock";
  const int fd = ::open(lock_path.c_str(),
                        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  HeadFile file(path, origin, fd);
  if (fd < 0) {
    return Fail(errno == ENOSPC ? ErrorCode::kDiskFull : ErrorCode::kIoError,
                lock_path + ": " + std::strerror(errno));
  }
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) {
      return Fail(ErrorCode::kIoError, lock_path + ": " + std::strerror(errno));
    }
  }
  return file;
}

HeadFile::HeadFile(HeadFile&& other) noexcept
    : path_(std::move(other.path_)),
      origin_(std::move(other.origin_)),
      lock_(std::exchange(other.lock_, -1)) {}

HeadFile::~HeadFile() {
  if (lock_ >= 0) ::close(lock_);
}

Result<std::optional<ledger::TreeHead>> HeadFile::Load() {
  const Result<std::string> text = ReadFile(path_, kMaxHeadFile);
  if (!text && text.error().code == ErrorCode::kNotFound) {
    return std::optional<ledger::TreeHead>();
  }
  if (!text) return tl::unexpected<Error>(text.error());
  const auto kept = ledger::ParseCheckpoint(*text);
  if (!kept || kept->origin != origin_) {
    return Fail(ErrorCode::kStorageCorrupt,
                path_ + ": not a head of the ledger " + origin_);
  }
  return std::optional<ledger::TreeHead>(kept->head);
}

Status HeadFile::Store(const ledger::TreeHead& head) {
  return ReplaceFile(path_, ledger::FormatCheckpoint({origin_, head}), 0600);
}

}  // namespace countersign::authz
