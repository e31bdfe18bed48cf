// dpkg's database: info/NAME[:ARCH].list holds one path a line, status one
// stanza a package, diversions three lines each (dpkg-query(1),
// dpkg-divert(1)).
#include "platform/installed_package.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "platform/handle.h"
#include "platform/trusted_file.h"

namespace countersign::platform {
namespace {

constexpr size_t kMaxCached = 256;
constexpr size_t kMaxLists = 100'000;
constexpr size_t kMaxLine = 8192;  // Of a path, twice the longest.
constexpr size_t kPiece = 16 * 1024;
constexpr std::string_view kListEnding = ".list";

// Changes with every run of dpkg, which writes the file anew.
using Edition = std::tuple<uint64_t, uint64_t, int64_t, int64_t>;

Edition EditionOf(const std::string& status) {
  struct stat info {};
  if (::stat(status.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

// Each line of the file, until `take` says that it was enough. A line that is
// longer than any of ours is left out. Reads piece by piece: the lists together
// are larger than all else that the daemon holds.
using TakeLine = std::function<bool(std::string_view)>;
Status ForEachLine(const std::string& path, const TakeLine& take) {
  CS_ASSIGN_OR_RETURN(const OwnedHandle file, OpenTrustedFile(path));
  std::string rest;
  bool too_long = false;
  std::array<char, kPiece> piece;
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(ErrorCode::kIoError, path);
    if (got == 0) break;
    std::string_view text(piece.data(), static_cast<size_t>(got));
    for (size_t end = 0; (end = text.find('\n')) != std::string_view::npos;
         text.remove_prefix(end + 1)) {
      rest += text.substr(0, end);
      if (!too_long && rest.size() <= kMaxLine && !take(rest)) return {};
      too_long = false;
      rest.clear();
    }
    if (rest.size() + text.size() > kMaxLine) too_long = true;
    if (!too_long) rest += text;
  }
  if (!too_long && !rest.empty()) take(rest);
  return {};
}

// On a system whose /bin is a link to /usr/bin, packages may name either.
std::vector<std::string> NamesOf(const std::string& path) {
  std::vector<std::string> names{path};
  for (const char* const merged : {"/usr/bin/", "/usr/sbin/", "/usr/lib"}) {
    if (path.starts_with(merged)) names.push_back(path.substr(4));
  }
  return names;
}

Result<bool> NamesAny(const std::string& file,
                      const std::vector<std::string>& lines) {
  bool found = false;
  CS_RETURN_IF_ERROR(ForEachLine(file, [&](std::string_view line) {
    found = std::ranges::find(lines, line) != lines.end();
    return !found;
  }));
  return found;
}

// The name of the one list that names the path: NAME or NAME:ARCH.
Result<std::string> Owner(const std::string& database,
                          const std::vector<std::string>& names) {
  std::string owner;
  size_t lists = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(database + "/info", error),
       end;
       !error && entry != end; entry.increment(error)) {
    const std::string file = entry->path().filename().string();
    if (!file.ends_with(kListEnding)) continue;
    if (++lists > kMaxLists)
      return Fail(ErrorCode::kNotFound, "too many lists");
    const auto names_it = NamesAny(entry->path().string(), names);
    if (!names_it.has_value() || !*names_it) continue;
    if (!owner.empty()) {
      return Fail(ErrorCode::kNotFound, "more than one package names it");
    }
    owner = file.substr(0, file.size() - kListEnding.size());
  }
  if (error || owner.empty()) {
    return Fail(ErrorCode::kNotFound, "no package names it");
  }
  return owner;
}

struct Stanza {
  std::string package;
  std::string status;
  std::string architecture;
  std::string version;

  void Take(std::string_view line) {
    const std::pair<std::string_view, std::string*> fields[] = {
        {"Package: ", &package},
        {"Status: ", &status},
        {"Architecture: ", &architecture},
        {"Version: ", &version}};
    for (const auto& [name, value] : fields) {
      if (line.starts_with(name)) *value = line.substr(name.size());
    }
  }
};

// What the status file says of a list's package.
Result<InstalledPackage> Describe(const std::string& status,
                                  const std::string& owner) {
  const size_t colon = owner.find(':');
  const std::string name = owner.substr(0, colon);
  const std::string architecture =
      colon == std::string::npos ? "" : owner.substr(colon + 1);
  Stanza stanza;
  const auto is_it = [&] {
    return stanza.package == name && stanza.status.ends_with(" ok installed") &&
           (architecture.empty() || stanza.architecture == architecture);
  };
  CS_RETURN_IF_ERROR(ForEachLine(status, [&](std::string_view line) {
    if (!line.empty()) {
      stanza.Take(line);
    } else if (is_it()) {
      return false;
    } else {
      stanza = {};
    }
    return true;
  }));
  if (is_it()) return InstalledPackage{name, stanza.version};
  return Fail(ErrorCode::kNotFound, name + " is not wholly installed");
}

Result<InstalledPackage> Look(const std::string& database,
                              const std::string& path) {
  const std::vector<std::string> names = NamesOf(path);
  const auto diverted = NamesAny(database + "/diversions", names);
  if (diverted.has_value() ? *diverted
                           : diverted.error().code != ErrorCode::kNotFound) {
    return Fail(ErrorCode::kNotFound, "it may be diverted");
  }
  CS_ASSIGN_OR_RETURN(const std::string owner, Owner(database, names));
  return Describe(database + "/status", owner);
}

}  // namespace

struct PackageFinder::Cache {
  std::mutex mutex;
  Edition edition;
  std::map<std::string, Result<InstalledPackage>> found;
};

PackageFinder::PackageFinder(std::string database)
    : database_(std::move(database)), cache_(std::make_unique<Cache>()) {}
PackageFinder::~PackageFinder() = default;

Result<InstalledPackage> PackageFinder::Find(const std::string& path) {
  if (path.empty() || path.front() != '/' ||
      path.find('\n') != std::string::npos) {
    return Fail(ErrorCode::kNotFound, "not a path of a package");
  }
  const Edition edition = EditionOf(database_ + "/status");
  {
    const std::lock_guard lock(cache_->mutex);
    if (cache_->edition != edition || cache_->found.size() >= kMaxCached) {
      cache_->found.clear();
      cache_->edition = edition;
    }
    const auto known = cache_->found.find(path);
    if (known != cache_->found.end()) return known->second;
  }
  Result<InstalledPackage> found = Look(database_, path);
  const std::lock_guard lock(cache_->mutex);
  if (cache_->edition == edition) cache_->found.insert_or_assign(path, found);
  return found;
}

}  // namespace countersign::platform
