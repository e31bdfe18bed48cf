// dpkg's database: info/NAME[:ARCH].list holds one path a line, status one
// stanza a package, diversions three lines each (dpkg-query(1),
// dpkg-divert(1)).
#include "platform/installed_package.h"

#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "platform/trusted_file.h"

namespace countersign::platform {
namespace {

constexpr size_t kMaxCached = 256;
constexpr size_t kMaxLists = 100'000;
constexpr size_t kMaxListSize = 16 << 20;
constexpr size_t kMaxStatusSize = 64 << 20;
constexpr std::string_view kListEnding = ".list";

// Changes with every run of dpkg, which writes the file anew.
using Edition = std::tuple<uint64_t, uint64_t, int64_t, int64_t>;

Edition EditionOf(const std::string& status) {
  struct stat info {};
  if (::stat(status.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

bool HasLine(std::string_view text, std::string_view line) {
  for (size_t at = 0; (at = text.find(line, at)) != std::string_view::npos;
       ++at) {
    const size_t end = at + line.size();
    if ((at == 0 || text[at - 1] == '\n') &&
        (end == text.size() || text[end] == '\n')) {
      return true;
    }
  }
  return false;
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
                      const std::vector<std::string>& lines, size_t max_size) {
  CS_ASSIGN_OR_RETURN(const Bytes bytes, ReadTrustedFile(file, max_size));
  const std::string text = AsString(bytes);
  for (const std::string& line : lines) {
    if (HasLine(text, line)) return true;
  }
  return false;
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
    const auto names_it = NamesAny(entry->path().string(), names, kMaxListSize);
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

std::string_view Field(std::string_view stanza, std::string_view name) {
  while (!stanza.empty()) {
    const size_t end = std::min(stanza.find('\n'), stanza.size());
    const std::string_view line = stanza.substr(0, end);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(": ")) {
      return line.substr(name.size() + 2);
    }
    stanza.remove_prefix(std::min(end + 1, stanza.size()));
  }
  return {};
}

Result<InstalledPackage> Describe(const std::string& status,
                                  const std::string& owner) {
  const size_t colon = owner.find(':');
  const std::string name = owner.substr(0, colon);
  const std::string architecture =
      colon == std::string::npos ? "" : owner.substr(colon + 1);
  CS_ASSIGN_OR_RETURN(const Bytes bytes,
                      ReadTrustedFile(status, kMaxStatusSize));
  const std::string text = AsString(bytes);
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find("\n\n"), rest.size());
    const std::string_view stanza = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    if (Field(stanza, "Package") != name ||
        Field(stanza, "Status") != "install ok installed" ||
        (!architecture.empty() &&
         Field(stanza, "Architecture") != architecture)) {
      continue;
    }
    return InstalledPackage{name, std::string(Field(stanza, "Version"))};
  }
  return Fail(ErrorCode::kNotFound, name + " is not wholly installed");
}

Result<InstalledPackage> Look(const std::string& database,
                              const std::string& path) {
  const std::vector<std::string> names = NamesOf(path);
  const auto diverted = NamesAny(database + "/diversions", names, kMaxListSize);
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
