#include "platform/linux/proc_entry.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace countersign::platform {
namespace {

constexpr size_t kMaxText = 256 * 1024;
constexpr size_t kPiece = 4096;
constexpr std::string_view kDeleted = " (deleted)";
constexpr int kMaxLooks = 8;
constexpr size_t kMaxThreads = 256;

std::string PathOf(uint32_t pid, std::string_view name) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(name);
}

tl::unexpected<Error> ProcError(const std::string& path) {
  const ErrorCode code = errno == ENOENT || errno == ESRCH
                             ? ErrorCode::kPeerGone
                             : ErrorCode::kPeerIdentityUnknown;
  return Fail(code, path + ": " + std::strerror(errno));
}

int64_t Nanoseconds(const timespec& time) {
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

Result<std::string> ReadLink(const std::string& path) {
  std::array<char, 4096 + 64> buffer;  // PATH_MAX and " (deleted)".
  const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
  if (size < 0) return ProcError(path);
  return std::string(buffer.data(), static_cast<size_t>(size));
}

// The threads in /proc/PID/task, ascending; it may stop after `max`.
Result<std::vector<uint32_t>> ListThreads(const std::string& path, size_t max) {
  const auto close = [](DIR* open) { ::closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> folder(::opendir(path.c_str()),
                                                     close);
  if (folder == nullptr) return ProcError(path);
  std::vector<uint32_t> threads;
  while (threads.size() < max) {
    const dirent* const entry = ::readdir(folder.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    uint32_t thread = 0;
    const auto parsed =
        std::from_chars(name.data(), name.data() + name.size(), thread);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size()) {
      threads.push_back(thread);
    }
  }
  return threads;
}

bool KernelListsChildren() {
  static const bool kLists = ::access("/proc/thread-self/children", F_OK) == 0;
  return kLists;
}

}  // namespace

Result<std::string> ReadProc(uint32_t pid, std::string_view name) {
  const std::string path = PathOf(pid, name);
  const OwnedHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ProcError(path);
  std::string text;
  while (text.size() < kMaxText) {
    std::array<char, kPiece> piece;
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ProcError(path);
    if (got == 0) break;
    text.append(piece.data(), static_cast<size_t>(got));
  }
  return text;
}

Result<ProcStat> ReadStat(uint32_t pid) {
  CS_ASSIGN_OR_RETURN(const std::string text, ReadProc(pid, "stat"));
  return ParseStat(text);
}

Result<ProcUser> ReadUser(uint32_t pid) {
  CS_ASSIGN_OR_RETURN(const std::string text, ReadProc(pid, "status"));
  return ParseStatus(text);
}

Result<OwnedHandle> PinExecutable(uint32_t pid) {
  const std::string path = PathOf(pid, "exe");
  OwnedHandle file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!file.valid()) return ProcError(path);
  return file;
}

Result<ExecutableFile> DescribeFile(Handle file) {
  struct stat info {};
  if (::fstat(file, &info) != 0) return ProcError("executable");
  ExecutableFile described;
  described.device = info.st_dev;
  described.inode = info.st_ino;
  described.size = static_cast<uint64_t>(info.st_size);
  described.mtime_ns = Nanoseconds(info.st_mtim);
  described.ctime_ns = Nanoseconds(info.st_ctim);
  described.owner_uid = info.st_uid;
  described.mode = info.st_mode;
  described.deleted = info.st_nlink == 0;
  return described;
}

// The kernel marks a file whose name is gone with " (deleted)". A live file
// may be called so, too: taking it for deleted errs on the safe side.
Result<ExecutableFile> DescribeExecutable(uint32_t pid, Handle pinned) {
  CS_ASSIGN_OR_RETURN(ExecutableFile file, DescribeFile(pinned));
  CS_ASSIGN_OR_RETURN(std::string path, ReadLink(PathOf(pid, "exe")));
  if (path.ends_with(kDeleted)) {
    file.deleted = true;
    path.resize(path.size() - kDeleted.size());
  }
  file.memfd = file.deleted && path.starts_with("/memfd:");
  if (!file.memfd) file.path = std::move(path);
  return file;
}

bool PathLeadsTo(const ExecutableFile& file) {
  struct stat info {};
  return !file.path.empty() && ::stat(file.path.c_str(), &info) == 0 &&
         info.st_dev == file.device && info.st_ino == file.inode;
}

// That a thread has no child is one look of the kernel's under its lock: the
// list of a thread that has some may be incomplete, but never empty. A thread
// that ends leaves its children to another one, so the threads must be the
// same before and after.
Result<bool> HasChildren(uint32_t pid) {
  if (!KernelListsChildren()) return true;
  const std::string threads = PathOf(pid, "task");
  for (int look = 0; look < kMaxLooks; ++look) {
    CS_ASSIGN_OR_RETURN(const auto before,
                        ListThreads(threads, kMaxThreads + 1));
    if (before.size() > kMaxThreads) return true;
    for (const uint32_t thread : before) {
      const auto children =
          ReadProc(pid, "task/" + std::to_string(thread) + "/children");
      if (children.has_value() && !children->empty()) return true;
      if (!children.has_value() &&
          children.error().code != ErrorCode::kPeerGone) {
        return tl::unexpected(children.error());
      }
    }
    CS_ASSIGN_OR_RETURN(const auto after,
                        ListThreads(threads, kMaxThreads + 1));
    if (before == after) return false;
  }
  return true;
}

std::vector<ParentProcess> ParentsOf(uint32_t pid, size_t max) {
  std::vector<ParentProcess> parents;
  Result<ProcStat> stat = ReadStat(pid);
  while (stat.has_value() && stat->parent != 0 && parents.size() < max) {
    const uint32_t parent = stat->parent;
    stat = ReadStat(parent);
    const Result<ProcUser> user = ReadUser(parent);
    if (!stat.has_value() || !user.has_value()) break;
    ParentProcess found;
    found.pid = parent;
    found.uid = user->effective_uid;
    found.start_time = stat->start_time;
    const Result<OwnedHandle> pinned = PinExecutable(parent);
    if (pinned.has_value()) {
      const auto file = DescribeExecutable(parent, pinned->get());
      if (file.has_value()) {
        found.executable_path = file->path;
        found.device = file->device;
        found.inode = file->inode;
      }
    }
    parents.push_back(std::move(found));
  }
  return parents;
}

}  // namespace countersign::platform
