#include "platform/host.h"

#include <errno.h>
#include <malloc.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <vector>

namespace countersign::platform {
namespace {

// The value of `key` in /etc/os-release (os-release(5)), without quotes.
std::string OsRelease(const std::string& key) {
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key + "=")) continue;
    std::string value = line.substr(key.size() + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return value;
  }
  return {};
}

}  // namespace

HostDescription DescribeHost() {
  HostDescription host;
  struct utsname names = {};
  if (::uname(&names) == 0) {
    host.hostname = names.nodename;
    host.os_name = names.sysname;
    host.os_version = names.release;
  }
  if (const std::string name = OsRelease("PRETTY_NAME"); !name.empty()) {
    host.os_name = name;
  }
  return host;
}

uint32_t OwnUid() { return ::geteuid(); }

Result<uint32_t> UidOfAccount(const std::string& name) {
  std::vector<char> buffer(16 * 1024);
  struct passwd entry = {};
  struct passwd* found = nullptr;
  const int error =
      ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (error != 0) {
    return Fail(ErrorCode::kIoError,
                "account " + name + ": " + ::strerror(error));
  }
  if (found == nullptr) {
    return Fail(ErrorCode::kNotFound, "there is no account named " + name);
  }
  return entry.pw_uid;
}

std::string OwnProgramFolder() {
  std::array<char, 4096> buffer{};
  const ssize_t n = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
  if (n <= 0 || static_cast<size_t>(n) == buffer.size()) return {};
  const std::string path(buffer.data(), static_cast<size_t>(n));
  return path.substr(0, path.rfind('/'));
}

Result<uint64_t> FreeDiskSpace(const std::string& path) {
  struct statvfs status = {};
  if (::statvfs(path.c_str(), &status) != 0) {
    return Fail(ErrorCode::kIoError, path + ": " + ::strerror(errno));
  }
  return uint64_t{status.f_bavail} * status.f_frsize;
}

Result<uint32_t> SocketMode(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) {
    return Fail(ErrorCode::kNotFound, path + ": " + ::strerror(errno));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Fail(ErrorCode::kUnsafePath, path + " is not a socket");
  }
  return status.st_mode & 07777;
}

void RaiseHandleLimit() {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void PreferSmallHeap() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

void KeepHeapUntilTrimmed() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, 8 * 1024 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
}

void TrimHeap() { ::malloc_trim(0); }

}  // namespace countersign::platform
