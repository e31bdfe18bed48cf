#include "platform/private_file.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/fails_with.h"
#include "tests/platform/test_process.h"

namespace countersign::platform {
namespace {

namespace fs = std::filesystem;

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

mode_t ModeOf(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode : 0;
}

size_t CountIn(const std::string& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(PrivateFileTest, WritesAFileThatOnlyThisAccountMayRead) {
  const TempFolder folder;
  EXPECT_TRUE(Succeeds(CheckPrivateFile(folder / "new")));
  EXPECT_EQ(CountIn(folder / ""), 0u);
  ASSERT_TRUE(Succeeds(WritePrivateFile(folder / "new", AsBytes("grant"))));
  EXPECT_EQ(Slurp(folder / "new"), "grant");
  EXPECT_EQ(ModeOf(folder / "new") & 07777, 0600u);
}

TEST(PrivateFileTest, ReplacesAFileAndItsMode) {
  const TempFolder folder;
  std::ofstream(folder / "old") << "something longer";
  fs::permissions(folder / "old", fs::perms::all);
  ASSERT_TRUE(Succeeds(CheckPrivateFile(folder / "old")));
  EXPECT_EQ(Slurp(folder / "old"), "something longer");
  ASSERT_TRUE(Succeeds(WritePrivateFile(folder / "old", AsBytes("grant"))));
  EXPECT_EQ(Slurp(folder / "old"), "grant");
  EXPECT_EQ(ModeOf(folder / "old") & 07777, 0600u);
  EXPECT_EQ(CountIn(folder / ""), 1u);
}

// Neither written to nor replaced.
void ExpectUntouched(const std::string& path) {
  const mode_t before = ModeOf(path);
  ASSERT_NE(before, 0u);
  EXPECT_TRUE(FailsWith(CheckPrivateFile(path), ErrorCode::kNotAFile));
  EXPECT_TRUE(
      FailsWith(WritePrivateFile(path, AsBytes("x")), ErrorCode::kNotAFile));
  EXPECT_EQ(ModeOf(path), before);
}

TEST(PrivateFileTest, RejectsALinkAndLeavesItAndWhatItNames) {
  const TempFolder folder;
  std::ofstream(folder / "victim") << "mine";
  fs::create_symlink(folder / "victim", folder / "link");
  fs::create_symlink(folder / "nothing", folder / "dangling");
  ExpectUntouched(folder / "link");
  ExpectUntouched(folder / "dangling");
  EXPECT_EQ(Slurp(folder / "victim"), "mine");
  EXPECT_FALSE(fs::exists(folder / "nothing"));
}

TEST(PrivateFileTest, RejectsAFolderAFifoAndASocket) {
  const TempFolder folder;
  fs::create_directory(folder / "folder");
  ExpectUntouched(folder / "folder");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  ExpectUntouched(folder / "fifo");
  ASSERT_EQ(::mknod((folder / "socket").c_str(), S_IFSOCK | 0600, 0), 0);
  ExpectUntouched(folder / "socket");
}

TEST(PrivateFileTest, RejectsADevice) {
  const TempFolder folder;
  if (::mknod((folder / "full").c_str(), S_IFCHR | 0600, makedev(1, 7)) != 0) {
    GTEST_SKIP() << "only root may make devices";
  }
  ExpectUntouched(folder / "full");
}

TEST(PrivateFileTest, RejectsAFolderThatIsMissingOrClosed) {
  const TempFolder folder;
  std::ofstream(folder / "file") << "x";
  for (const char* name : {"none/file", "file/below"}) {
    const std::string path = folder / name;
    EXPECT_TRUE(FailsWith(CheckPrivateFile(path), ErrorCode::kIoError)) << path;
    EXPECT_TRUE(
        FailsWith(WritePrivateFile(path, AsBytes("x")), ErrorCode::kIoError))
        << path;
  }
  // Not even root writes below /proc.
  EXPECT_TRUE(FailsWith(CheckPrivateFile("/proc/grant"), ErrorCode::kIoError));
}

}  // namespace
}  // namespace countersign::platform
