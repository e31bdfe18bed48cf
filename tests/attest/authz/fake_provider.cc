#include "tests/attest/authz/fake_provider.h"

#include "attest/authz/init.h"
#include "attest/jose/jwk_set.h"
#include "attest/jose/jws.h"

namespace countersign::authz {

FakeProvider::FakeProvider(const FakeClock& clock)
    : clock_(clock), key_(*jose::Es256Key::Generate()) {
  const std::string cert = folder_.Path("cert.pem");
  const std::string key = folder_.Path("key.pem");
  if (!MakePrivateTls("localhost", folder_.Path("ca.pem"), cert, key)) {
    std::abort();
  }
  server_ = *HttpServer::Start({.listen = "127.0.0.1:0", .workers = 2},
                               *TlsContext::Load(cert, key), *this);
  issuer_ = "https://localhost:" + std::to_string(server_->port()) + "/acme";
}

OidcConfig FakeProvider::Config() const {
  OidcConfig config;
  config.issuer = issuer_;
  config.client_id = "countersign";
  config.ca_file = folder_.Path("ca.pem");
  return config;
}

Json FakeProvider::Claims(const std::string& nonce) const {
  const int64_t now_s = clock_.NowMs() / 1000;
  return {{"iss", issuer_},
          {"aud", "countersign"},
          {"sub", "alice"},
          {"sid", "session-1"},
          {"nonce", nonce},
          {"iat", now_s},
          {"exp", now_s + 300},
          {"auth_time", now_s - 5},
          {"acr", "urn:mfa"},
          {"groups", {"staff", "ops"}},
          {"preferred_username", "alice@example.com"}};
}

Json FakeProvider::LogoutClaims() const {
  const int64_t now_s = clock_.NowMs() / 1000;
  return {{"iss", issuer_},
          {"aud", "countersign"},
          {"iat", now_s},
          {"exp", now_s + 120},
          {"jti", ToBase64Url(RandomBytes(8))},
          {"sid", "session-1"},
          {"events",
           {{"http://schemas.openid.net/event/backchannel-logout",
             Json::object()}}}};
}

std::string FakeProvider::Sign(const Json& claims, std::string_view typ) const {
  return *jose::SignJws(key_, typ, claims.dump());
}

Response FakeProvider::Handle(const Request& request) {
  Response response;
  response.content_type = "application/json";
  if (request.path == "/acme/.well-known/openid-configuration") {
    Json metadata = {{"issuer", issuer_},
                     {"authorization_endpoint", issuer_ + "/authorize"},
                     {"token_endpoint", issuer_ + "/token"},
                     {"jwks_uri", issuer_ + "/keys"},
                     {"device_authorization_endpoint", issuer_ + "/device"}};
    change_metadata(metadata);
    response.body = metadata.dump();
  } else if (request.path == "/acme/keys") {
    ++key_requests;
    jose::KeySet keys;
    keys.Add(key_.public_key());
    response.body = keys.ToJson();
    change_keys(response.body);
  } else if (request.path == "/acme/device") {
    response.body = Json{
        {"device_code", "secret-device-code"},
        {"user_code", "WDJB-MJHT"},
        {"verification_uri", issuer_ + "/d"},
        {"interval", 5},
        {"expires_in",
         600}}.dump();
  } else {
    ++token_requests;
    last_form = request.body;
    if (token_error.empty()) {
      response.body =
          Json{{"id_token", id_token}, {"access_token", "opaque"}}.dump();
    } else {
      response.status = 400;
      response.body = Json{{"error", token_error}}.dump();
    }
  }
  return response;
}

Response FakeProvider::Refusal(int status) const {
  Response response;
  response.status = status;
  return response;
}

}  // namespace countersign::authz
