#include "attest/authz/login/login_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "attest/authz/config.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

constexpr char kProvider[] = R"(
[oidc]
issuer = "https://login.example/tenant/v2.0"
client_id = "countersign"
client_secret_file = "keys/oidc-secret"
algorithms = ["RS256"]
acr_values = ["urn:mfa"]
)";

class LoginConfigTest : public testing::Test {
 protected:
  Result<Config> Read(const std::string& text) {
    const std::string path = folder_.Path("authz.toml");
    std::ofstream(path) << "issuer = \"https://authz.example\"\n" << text;
    std::filesystem::permissions(path, std::filesystem::perms(0644));
    return LoadConfig(path);
  }
  void ExpectRefused(const std::string& text, const std::string& why) {
    const auto read = Read(text);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kConfigInvalid);
    EXPECT_NE(read.error().detail.find(why), std::string::npos)
        << read.error().detail;
  }
  TempFolder folder_;
};

TEST_F(LoginConfigTest, NeedsNoProviderByDefault) {
  const auto read = Read("");
  ASSERT_TRUE(read.has_value()) << read.error().detail;
  EXPECT_EQ(read->login.verification, UserVerification::kOsLogin);
  EXPECT_TRUE(read->login.oidc.issuer.empty());
}

TEST_F(LoginConfigTest, ReadsAProvider) {
  const auto read =
      Read(std::string("[users]\nverification = \"either\"\n") + kProvider);
  ASSERT_TRUE(read.has_value()) << read.error().detail;
  EXPECT_EQ(read->login.verification, UserVerification::kEither);
  EXPECT_EQ(read->login.oidc.issuer, "https://login.example/tenant/v2.0");
  EXPECT_EQ(read->login.oidc.client_secret_file,
            folder_.Path("keys/oidc-secret"));
  EXPECT_EQ(read->login.oidc.algorithms,
            std::vector{jose::ForeignAlgorithm::kRs256});
}

TEST_F(LoginConfigTest, RejectsVerificationWithoutAProvider) {
  ExpectRefused("[users]\nverification = \"oidc\"\n", "needs a provider");
  ExpectRefused("[users]\nverification = \"password\"\n", "must be");
}

TEST_F(LoginConfigTest, RejectsWhatIsNoProvider) {
  const std::string client = "client_id = \"c\"\n";
  ExpectRefused("[oidc]\nissuer = \"http://login.example\"\n" + client,
                "https URL");
  ExpectRefused("[oidc]\nissuer = \"https://login.example?x\"\n" + client,
                "https URL");
  ExpectRefused("[oidc]\nissuer = \"https://login.example\"\n", "client_id");
  ExpectRefused(std::string(kProvider) + "scopes = [\"profile\"]\n", "openid");
  ExpectRefused(std::string(kProvider) + "client_secret = \"x\"\n",
                "client_secret");
}

TEST_F(LoginConfigTest, RejectsAlgorithmsThatProveNothing) {
  for (const char* name : {"none", "HS256", "RS512", "rs256"}) {
    ExpectRefused(
        "[oidc]\nissuer = \"https://login.example\"\n"
        "client_id = \"c\"\nalgorithms = [\"" +
            std::string(name) + "\"]\n",
        "algorithms");
  }
}

}  // namespace
}  // namespace countersign::authz
