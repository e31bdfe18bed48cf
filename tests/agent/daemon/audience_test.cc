#include "agent/daemon/audience.h"

#include <gtest/gtest.h>

#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

TEST(AudienceTest, AcceptsWhatLiesUnderIt) {
  const std::pair<const char*, const char*> good[] = {
      {"https://api.test", "https://api.test"},
      {"https://api.test", "https://api.test/any/thing?q=1#f"},
      {"https://api.test/", "https://api.test/any"},
      {"https://api.test:443", "HTTPS://API.test/x"},
      {"https://api.test/v1", "https://api.test/v1"},
      {"https://api.test/v1", "https://api.test/v1/things"},
      {"https://api.test/v1/", "https://api.test/v1/things"},
      {"https://[::1]:8443/v1", "https://[::1]:8443/v1/x"},
      {"http://api.test", "http://api.test:80/x"},
  };
  for (const auto& [audience, uri] : good) {
    EXPECT_TRUE(Succeeds(CheckUnderAudience(audience, uri))) << uri;
  }
}

TEST(AudienceTest, RejectsEverythingElse) {
  const std::pair<const char*, const char*> bad[] = {
      {"https://api.test", "http://api.test/"},
      {"https://api.test", "https://api.test.evil/"},
      {"https://api.test", "https://evil/https://api.test"},
      {"https://api.test", "https://api.test:8443/"},
      {"https://api.test", "https://api.test@evil/"},
      {"https://api.test", "https://api.test\\@evil/"},
      {"https://api.test/v1", "https://api.test/v2"},
      {"https://api.test/v1", "https://api.test/v10"},
      {"https://api.test/v1", "https://api.test/"},
      {"https://api.test/v1", "https://api.test/v1/../v2"},
      {"https://api.test/v1", "https://api.test/v1/%2e%2E/v2"},
      {"https://api.test/v1", "https://api.test/v1/.%2e/v2"},
      {"https://api.test/v1", "https://api.test/v1%2f..%2fv2"},
      {"https://api.test/v1", "https://api.test/v1/..\\v2"},
      {"", "https://api.test/"},
      {"https://api.test", ""},
      {"https://api.test", "/v1"},
      {"urn:thing", "urn:thing"},
  };
  for (const auto& [audience, uri] : bad) {
    EXPECT_TRUE(FailsWith(CheckUnderAudience(audience, uri),
                          ErrorCode::kForeignAudience))
        << audience << " " << uri;
  }
}

}  // namespace
}  // namespace countersign::agent
