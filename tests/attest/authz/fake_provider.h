// An OpenID provider of our own making, over HTTPS in this process, that does
// everything right unless a test says otherwise. The real one that it stands
// for is tried in tests/e2e/login.py.
#ifndef COUNTERSIGN_TESTS_ATTEST_AUTHZ_FAKE_PROVIDER_H_
#define COUNTERSIGN_TESTS_ATTEST_AUTHZ_FAKE_PROVIDER_H_

#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "attest/authz/http_server.h"
#include "attest/authz/login/login_config.h"
#include "attest/jose/es256.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {

using Json = nlohmann::json;

class FakeProvider final : public RequestHandler {
 public:
  explicit FakeProvider(const FakeClock& clock);

  [[nodiscard]] OidcConfig Config() const;
  // The claims of a good ID token; a test changes them.
  [[nodiscard]] Json Claims(const std::string& nonce) const;
  [[nodiscard]] Json LogoutClaims() const;
  // A token of these claims under the newest key.
  [[nodiscard]] std::string Sign(const Json& claims,
                                 std::string_view typ = "JWT") const;
  void RotateKey() { key_ = *jose::Es256Key::Generate(); }
  void Stop() { server_.reset(); }

  size_t MaxBody(std::string_view, std::string_view) const override {
    return 16 * 1024;
  }
  Response Handle(const Request& request) override;
  Response Refusal(int status) const override;

  // What the token endpoint gives next.
  std::string id_token;
  std::string token_error;  // Instead, as an OAuth error.
  // What becomes of the documents before they are sent.
  std::function<void(Json&)> change_metadata = [](Json&) {};
  std::function<void(std::string&)> change_keys = [](std::string&) {};
  std::atomic<int> key_requests = 0;
  std::atomic<int> token_requests = 0;
  std::string last_form;

  [[nodiscard]] const jose::Es256Key& key() const { return key_; }
  [[nodiscard]] const std::string& issuer() const { return issuer_; }

 private:
  const FakeClock& clock_;
  TempFolder folder_;
  jose::Es256Key key_;
  std::unique_ptr<HttpServer> server_;
  std::string issuer_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_TESTS_ATTEST_AUTHZ_FAKE_PROVIDER_H_
