// Which package of the operating system installed a file.
//
// Reads the package manager's own database, which only root can change:
// Debian's so far; elsewhere nothing is found. It says which package *names* a
// path. That the file there is still the package's own it does not say: the
// file's hash does, for whoever knows the package's.
#ifndef COUNTERSIGN_PLATFORM_INSTALLED_PACKAGE_H_
#define COUNTERSIGN_PLATFORM_INSTALLED_PACKAGE_H_

#include <memory>
#include <string>

#include "attest/base/result.h"

namespace countersign::platform {

struct InstalledPackage {
  std::string name;
  std::string version;
};

// Remembers what it found until packages are installed or removed.
// Thread-safe. Reads some megabytes: never on the event loop.
class PackageFinder {
 public:
  // `database` is dpkg's admindir (dpkg-query(1)).
  explicit PackageFinder(std::string database = "/var/lib/dpkg");
  PackageFinder(const PackageFinder&) = delete;
  PackageFinder& operator=(const PackageFinder&) = delete;
  ~PackageFinder();

  // The one package that installed the file at `path`, an absolute path as the
  // kernel gives it. kNotFound: no database; no package names it, or more than
  // one does; it was diverted; its package is not wholly installed.
  [[nodiscard]] Result<InstalledPackage> Find(const std::string& path);

 private:
  struct Cache;
  const std::string database_;
  const std::unique_ptr<Cache> cache_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_INSTALLED_PACKAGE_H_
