#include "agent/cli/trust_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/cli/bundle_maker.h"

namespace countersign::agent {
namespace {

using ::testing::HasSubstr;

class TrustFolderTest : public ::testing::Test {
 protected:
  TrustFolderTest() {
    std::string pattern = "/tmp/countersign-trust-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    maker_.WriteTrust(folder_);
  }
  ~TrustFolderTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  ErrorCode Refusal() {
    const auto trust = LoadTrustFolder(folder_);
    detail_ = trust.has_value() ? "accepted" : trust.error().detail;
    return trust.has_value() ? ErrorCode::kInternal : trust.error().code;
  }

  BundleMaker maker_;
  std::string folder_;
  std::string detail_;
};

TEST_F(TrustFolderTest, AcceptsWhatTheServiceWrites) {
  const auto trust = LoadTrustFolder(folder_);
  ASSERT_TRUE(trust.has_value()) << trust.error().detail;
  EXPECT_EQ(trust->service_keys.size(), 1u);
  EXPECT_TRUE(trust->ledger_key.has_value());
  EXPECT_EQ(trust->ek_root_count, 1u);
}

TEST_F(TrustFolderTest, TakesTheServiceKeysAlone) {
  std::filesystem::remove_all(folder_ + "/ek-roots");
  std::filesystem::remove(folder_ + "/ledger.vkey");
  const auto trust = LoadTrustFolder(folder_);
  ASSERT_TRUE(trust.has_value());
  EXPECT_FALSE(trust->ledger_key.has_value());
  EXPECT_EQ(trust->ek_root_count, 0u);
}

TEST_F(TrustFolderTest, RejectsAFolderThatIsNotThere) {
  EXPECT_EQ(LoadTrustFolder(folder_ + "/none").error().code,
            ErrorCode::kNotFound);
}

TEST_F(TrustFolderTest, RejectsAFolderWithoutServiceKeys) {
  std::filesystem::remove(folder_ + "/service.jwks.json");
  EXPECT_EQ(Refusal(), ErrorCode::kNotFound);
}

TEST_F(TrustFolderTest, RejectsEveryFileItCannotUnderstand) {
  struct {
    const char* name;
    const char* text;
  } constexpr kCases[] = {
      {"service.jwks.json", "{\"keys\":[]}"},
      {"service.jwks.json", "not JSON"},
      {"ledger.vkey", "not a key"},
      {"ledger.vkey", ""},
      {"ek-roots/broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"},
      {"ek-roots/empty.pem", "nothing here"},
      {"ek-roots/noise.pem",
       "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
      {"ek-roots/root.der", "x"},
      {"witnesses.vkey", "w+00000000+AA=="},
      {"other.json", "{}"},
  };
  for (const auto& test : kCases) {
    maker_.WriteTrust(folder_);
    Write(test.name, test.text);
    EXPECT_EQ(Refusal(), ErrorCode::kConfigInvalid) << test.name;
    EXPECT_THAT(detail_, HasSubstr(test.name));
    std::filesystem::remove_all(folder_);
  }
}

TEST_F(TrustFolderTest, IgnoresNotesForPeople) {
  Write("README", "who put this here, and why");
  EXPECT_TRUE(LoadTrustFolder(folder_).has_value());
}

TEST_F(TrustFolderTest, PassesOverRevocationLists) {
  Write("ek-roots/maker.crl", "as the service's folder may hold them");
  const auto trust = LoadTrustFolder(folder_);
  ASSERT_TRUE(trust.has_value()) << trust.error().detail;
  EXPECT_EQ(trust->ek_root_count, 1u);
}

TEST_F(TrustFolderTest, RejectsAFileThatIsTooLarge) {
  Write("ledger.vkey", std::string(300 * 1024, 'x'));
  EXPECT_EQ(Refusal(), ErrorCode::kTooLarge);
}

TEST(CertificatesFromPemTest, ReadsSeveralWithTextBetween) {
  const std::string block =
      "-----BEGIN CERTIFICATE-----\r\nAQID\r\nBA==\r\n"
      "-----END CERTIFICATE-----\r\n";
  const auto found = CertificatesFromPem("one\n" + block + "two\n" + block);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, (std::vector<Bytes>{{1, 2, 3, 4}, {1, 2, 3, 4}}));
}

}  // namespace
}  // namespace countersign::agent
