// A laptop whose session key the test holds, and a resource server, both
// speaking to the service's OAuth endpoints.
#ifndef COUNTERSIGN_TESTS_ATTEST_AUTHZ_OAUTH_RIG_H_
#define COUNTERSIGN_TESTS_ATTEST_AUTHZ_OAUTH_RIG_H_

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {

inline constexpr char kAudience[] = "https://api.example";

using FormFields = std::map<std::string, std::string>;
[[nodiscard]] std::string FormBody(const FormFields& fields);

// What a DPoP proof for a request holds; tests change it.
struct ProofParts {
  std::string method = "POST";
  std::string url;
  std::string nonce;
  std::string access_token = {};
  int64_t at_s = 0;
  std::string jti;
};

class OAuthTest : public testing::Test {
 protected:
  OAuthTest();

  // A session of `laptop` with a key of the test's.
  struct Session {
    LaptopSession opened;
    std::shared_ptr<const jose::Es256Key> key;
  };
  static Session OpenSession(Laptop& laptop);

  Response Handle(Request request);
  Response Post(const std::string& path, const FormFields& fields,
                const std::string& authorization = {});
  // With `session`'s attestation and a fresh proof, changed by `change`.
  Response PostAttested(
      const std::string& path, const FormFields& fields, const Session& session,
      const std::function<void(ProofParts&, Request&)>& change = nullptr);

  [[nodiscard]] v1::ActionDecision Permit() {
    return laptop_.Authorize(session_.opened);
  }
  [[nodiscard]] static FormFields Exchange(const v1::ActionDecision& decision);
  Response Redeem(
      const v1::ActionDecision& decision,
      const std::function<void(ProofParts&, Request&)>& change = nullptr) {
    return PostAttested("/oauth/token", Exchange(decision), session_, change);
  }

  // "Basic …" of a client registered for `audience`.
  std::string NewServer(const std::string& name,
                        const std::string& audience = kAudience);
  nlohmann::json Introspect(const std::string& token,
                            const std::string& authorization);
  // The bit of `grant` in its status list.
  bool StatusBit(const std::string& grant);
  nlohmann::json ClaimsOf(const std::string& jws, std::string_view typ);

  static nlohmann::json Json(const Response& response);
  static std::string ErrorOf(const Response& response);
  static std::string Header(const Response& response, const std::string& name);

  ServiceRig rig_;
  Laptop laptop_;
  std::unique_ptr<Api> api_;
  Session session_;
  std::string server_;  // Credentials of the audience's own server.
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_TESTS_ATTEST_AUTHZ_OAUTH_RIG_H_
