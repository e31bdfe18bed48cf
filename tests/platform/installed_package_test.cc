#include "platform/installed_package.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace countersign::platform {
namespace {

// A database of dpkg with two packages, as dpkg 1.21 writes it.
class PackageFinderTest : public ::testing::Test {
 protected:
  PackageFinderTest() {
    std::filesystem::create_directory(folder_ + "/info");
    Write("info/browser.list", "/.\n/usr\n/usr/lib/browser/browser\n");
    Write("info/libbrowser:amd64.list", "/.\n/usr/lib/libbrowser.so.1\n");
    Write("info/browser.md5sums", "/usr/bin/only-here\n");
    Write("status", kStatus);
  }
  ~PackageFinderTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::remove(folder_ + "/" + name);
    std::ofstream(folder_ + "/" + name) << text;
  }
  std::string Find(const std::string& path) {
    const auto found = finder_.Find(path);
    if (found.has_value()) return found->name + " " + found->version;
    EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
    return "";
  }

  static constexpr char kStatus[] =
      "Package: browser\nStatus: install ok installed\nArchitecture: amd64\n"
      "Description: Package: of lies\n Version: 0\nVersion: 1:2.3-4~deb12u1\n\n"
      "Package: libbrowser\nStatus: install ok installed\nArchitecture: i386\n"
      "Version: 6\n\n"
      "Package: libbrowser\nStatus: install ok installed\n"
      "Architecture: amd64\nVersion: 7\n";
  static std::string NewFolder() {
    std::string pattern = "/tmp/countersign-dpkg-XXXXXX";
    return mkdtemp(pattern.data());
  }

  const std::string folder_ = NewFolder();
  PackageFinder finder_{folder_};
};

TEST_F(PackageFinderTest, NamesPackageAndVersion) {
  EXPECT_EQ(Find("/usr/lib/browser/browser"), "browser 1:2.3-4~deb12u1");
  EXPECT_EQ(Find("/usr/lib/libbrowser.so.1"), "libbrowser 7");
}

TEST_F(PackageFinderTest, KnowsBothNamesOfAMergedFolder) {
  Write("info/old.list", "/bin/old\n/lib64/old.so\n");
  Write("status", "Package: old\nStatus: install ok installed\nVersion: 1\n");
  EXPECT_EQ(Find("/usr/bin/old"), "old 1");
  EXPECT_EQ(Find("/usr/lib64/old.so"), "old 1");
  EXPECT_EQ(Find("/opt/bin/old"), "");
}

TEST_F(PackageFinderTest, FindsNothingElse) {
  for (const char* const path :
       {"", "browser", "/usr/lib/browser/browse", "/usr/lib/browser/browser2",
        "/lib/browser", "/usr/bin/only-here", "/usr\n/usr/lib"}) {
    EXPECT_EQ(Find(path), "") << path;
  }
  EXPECT_FALSE(PackageFinder(folder_ + "/none").Find("/usr").has_value());
}

TEST_F(PackageFinderTest, TakesNoPieceOfALongLineForAPath) {
  // Whatever pieces it is read in, one of these would begin at the path.
  for (size_t size = 16 * 1024 - 2; size <= 16 * 1024 + 2; ++size) {
    Write("info/browser.list", std::string(size, 'x') + "/usr/bin/piece\n" +
                                   "/usr/lib/browser/browser");
    PackageFinder finder(folder_);
    EXPECT_FALSE(finder.Find("/usr/bin/piece").has_value());
    EXPECT_TRUE(finder.Find("/usr/lib/browser/browser").has_value());
  }
}

TEST_F(PackageFinderTest, RejectsAPathOfTwoPackages) {
  Write("info/second.list", "/usr/lib/browser/browser\n");
  EXPECT_EQ(Find("/usr/lib/browser/browser"), "");
}

TEST_F(PackageFinderTest, RejectsADivertedPath) {
  Write("diversions", "/usr/lib/browser/browser\n/elsewhere\n:\n");
  EXPECT_EQ(Find("/usr/lib/browser/browser"), "");
  EXPECT_EQ(Find("/usr/lib/libbrowser.so.1"), "libbrowser 7");
}

TEST_F(PackageFinderTest, TakesAPackageThatIsHeldForInstalled) {
  Write("status", "Package: browser\nStatus: hold ok installed\nVersion: 1\n");
  EXPECT_EQ(Find("/usr/lib/browser/browser"), "browser 1");
}

TEST_F(PackageFinderTest, RejectsAPackageThatIsNotWhollyInstalled) {
  Write("status",
        "Package: browser\nStatus: deinstall ok config-files\nVersion: 1\n");
  EXPECT_EQ(Find("/usr/lib/browser/browser"), "");
}

TEST_F(PackageFinderTest, RejectsAListThatOthersMayWrite) {
  using std::filesystem::perms;
  std::filesystem::permissions(folder_ + "/info/browser.list", perms(0666));
  EXPECT_EQ(Find("/usr/lib/browser/browser"), "");
}

TEST_F(PackageFinderTest, LooksAgainWhenPackagesHaveChanged) {
  EXPECT_EQ(Find("/usr/bin/new"), "");
  Write("info/browser.list", "/usr/bin/new\n");
  Write("status.new", kStatus);
  std::filesystem::rename(folder_ + "/status.new", folder_ + "/status");
  EXPECT_EQ(Find("/usr/bin/new"), "browser 1:2.3-4~deb12u1");
}

// The real thing, where there is one.
TEST(PackageFinderOfThisMachineTest, FindsDpkgItself) {
  if (!std::filesystem::exists("/var/lib/dpkg/status")) {
    GTEST_SKIP() << "not a Debian machine";
  }
  PackageFinder finder;
  const auto found = finder.Find("/usr/bin/dpkg");
  ASSERT_TRUE(found.has_value()) << found.error().detail;
  EXPECT_EQ(found->name, "dpkg");
  EXPECT_FALSE(found->version.empty());
}

}  // namespace
}  // namespace countersign::platform
