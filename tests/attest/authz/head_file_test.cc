#include "attest/authz/head_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

using ledger::TreeHead;

constexpr char kOrigin[] = "authz.example/log";

class HeadFileTest : public testing::Test {
 protected:
  HeadFileTest() {
    char name[] = "/tmp/countersign-head-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/ledger.head";
  }
  ~HeadFileTest() override { std::filesystem::remove_all(folder_); }

  static TreeHead Head(uint64_t size) {
    return {size, Sha256(AsBytes(std::to_string(size)))};
  }
  // As the ledger's writer does: looks, then stores.
  void Store(uint64_t size) {
    auto file = HeadFile::Lock(path_, kOrigin);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->Load().has_value());
    ASSERT_TRUE(file->Store(Head(size)).has_value());
  }
  Result<std::optional<TreeHead>> Load(const std::string& origin = kOrigin) {
    return HeadFile::Lock(path_, origin)->Load();
  }
  // Where the text of the head of `size` is in the file.
  size_t Find(uint64_t size) {
    std::ifstream in(path_, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return text.find("\n" + std::to_string(size) + "\n");
  }
  void Damage(size_t at) {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file << "torn";
  }

  std::string folder_;
  std::string path_;
};

TEST_F(HeadFileTest, HasNothingBeforeTheFirstHead) {
  const auto none = Load();
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->has_value());
}

TEST_F(HeadFileTest, KeepsTheNewestOfManyHeads) {
  for (const uint64_t size : {1, 2, 3, 100, 101}) {
    Store(size);
    EXPECT_EQ(**Load(), Head(size));
  }
  EXPECT_EQ(std::filesystem::file_size(path_), 8192u);
}

// A crash in the middle of Store.
TEST_F(HeadFileTest, FallsBackToTheHeadBeforeOneThatIsTorn) {
  Store(7);
  Store(8);
  Damage(Find(8) + 3);  // Its root.
  EXPECT_EQ(**Load(), Head(7));
  Store(9);
  EXPECT_EQ(**Load(), Head(9));
  EXPECT_NE(Find(7), std::string::npos) << "the only good head was overwritten";
}

TEST_F(HeadFileTest, RefusesAFileWithoutAGoodHead) {
  Store(7);
  Store(8);
  Damage(Find(7) + 3);
  Damage(Find(8) + 3);
  EXPECT_EQ(Load().error().code, ErrorCode::kStorageCorrupt);
}

TEST_F(HeadFileTest, RefusesAFileThatWasCutOff) {
  Store(7);
  std::filesystem::resize_file(path_, 20);
  EXPECT_EQ(Load().error().code, ErrorCode::kStorageCorrupt);
}

TEST_F(HeadFileTest, RefusesTheHeadOfAnotherLedger) {
  Store(7);
  EXPECT_EQ(Load("other.example/log").error().code, ErrorCode::kStorageCorrupt);
}

}  // namespace
}  // namespace countersign::authz
