#include "attest/authz/head_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "attest/authz/files.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

// No smaller than what a disk writes at once: a torn write takes one slot.
constexpr size_t kSlotSize = 4096;
constexpr size_t kSlots = 2;
constexpr std::string_view kSeal = "sha256 ";

std::string SealOf(std::string_view checkpoint) {
  return std::string(kSeal) + ToHex(Sha256(AsBytes(checkpoint))) + "\n";
}

// What is in a slot; nothing if it was never, or not wholly, written.
std::optional<ledger::Checkpoint> ReadSlot(std::string_view slot) {
  const size_t end = slot.rfind(kSeal);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view text = slot.substr(0, end);
  if (!slot.substr(end).starts_with(SealOf(text))) return std::nullopt;
  auto checkpoint = ledger::ParseCheckpoint(text);
  if (!checkpoint) return std::nullopt;
  return *std::move(checkpoint);
}

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
      lock_(std::exchange(other.lock_, -1)),
      spare_(other.spare_) {}

HeadFile::~HeadFile() {
  if (lock_ >= 0) ::close(lock_);
}

Result<std::optional<ledger::TreeHead>> HeadFile::Load() {
  const Result<std::string> text = ReadFile(path_, kSlots * kSlotSize);
  if (!text && text.error().code == ErrorCode::kNotFound) {
    return std::optional<ledger::TreeHead>();
  }
  if (!text) return tl::unexpected<Error>(text.error());
  std::optional<ledger::TreeHead> newest;
  for (size_t i = 0; i < kSlots; ++i) {
    const auto kept = ReadSlot(std::string_view(*text).substr(
        std::min(i * kSlotSize, text->size()), kSlotSize));
    if (!kept || kept->origin != origin_) continue;
    if (newest && newest->size >= kept->head.size) continue;
    newest = kept->head;
    spare_ = kSlots - 1 - i;
  }
  if (!newest) {
    return Fail(ErrorCode::kStorageCorrupt,
                path_ + ": not a head of the ledger " + origin_);
  }
  return newest;
}

Status HeadFile::Store(const ledger::TreeHead& head) {
  std::string slot = ledger::FormatCheckpoint({origin_, head});
  slot += SealOf(slot);
  if (slot.size() > kSlotSize) {
    return Fail(ErrorCode::kTooLarge, "the ledger's origin");
  }
  slot.resize(kSlotSize, '\n');
  if (!spare_) {
    slot.resize(kSlots * kSlotSize, '\n');
    return ReplaceFile(path_, slot, 0600);
  }
  CS_RETURN_IF_ERROR(OverwriteAt(path_, *spare_ * kSlotSize, slot));
  spare_ = kSlots - 1 - *spare_;
  return {};
}

}  // namespace countersign::authz
