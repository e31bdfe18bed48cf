#include "attest/authz/oauth/resource_server.h"

#include <algorithm>

#include "attest/authz/oauth/form.h"
#include "attest/authz/oauth/names.h"
#include "attest/base/digest.h"
#include "attest/base/uri.h"
#include "attest/jose/claims.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kBasic = "basic ";
constexpr std::string_view kSecretPrefix = "csc1.";
constexpr size_t kSecretSize = 32;
constexpr size_t kMaxNameSize = 64;
constexpr size_t kMaxAudienceSize = 512;
constexpr size_t kMaxJti = 128;

tl::unexpected<Error> Refuse(std::string why) {
  return Fail(ErrorCode::kClientUnknown, std::move(why));
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameSize &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
         });
}

Result<ClientRow> FindClient(const Service& service, const std::string& name) {
  if (!IsName(name)) return Refuse("no such client");
  std::optional<ClientRow> row;
  CS_RETURN_IF_ERROR(service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(row, view.FindClient(name));
    return {};
  }));
  if (!row || row->revoked) return Refuse("no such client");
  return *std::move(row);
}

bool IsBasic(std::string_view authorization) {
  return authorization.size() > kBasic.size() &&
         std::ranges::equal(
             authorization.substr(0, kBasic.size()), kBasic,
             [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
             });
}

Result<ClientRow> CheckSecret(const Service& service,
                              std::string_view authorization) {
  if (!IsBasic(authorization)) return Refuse("Basic credentials are needed");
  const auto decoded = FromBase64(authorization.substr(kBasic.size()));
  if (!decoded) return Refuse("the Basic credentials are malformed");
  const std::string pair = AsString(*decoded);
  const size_t colon = pair.find(':');
  if (colon == std::string::npos) return Refuse("there is no secret");
  const auto name = FormDecoded(std::string_view(pair).substr(0, colon));
  const auto secret = FormDecoded(std::string_view(pair).substr(colon + 1));
  if (!name || !secret) return Refuse("the Basic credentials are malformed");
  CS_ASSIGN_OR_RETURN(ClientRow row, FindClient(service, *name));
  if (!row.secret_sha256) return Refuse("this client has a key, no secret");
  if (!ConstantTimeEqual(Sha256(AsBytes(*secret)), *row.secret_sha256)) {
    return Refuse("another secret");
  }
  return row;
}

Result<ClientRow> CheckAssertion(const Service& service,
                                 const ClientCredentials& credentials) {
  if (credentials.assertion_type != kJwtBearer) {
    return Refuse("another client_assertion_type");
  }
  CS_ASSIGN_OR_RETURN(ClientRow row,
                      FindClient(service, credentials.client_id));
  const auto keys = jose::KeySet::FromJson(row.jwks);
  if (row.secret_sha256 || !keys) return Refuse("this client has no key");
  const auto jws = jose::VerifyClientAssertion(credentials.assertion, *keys);
  if (!jws) return Refuse(std::string(Name(jws.error().code)));
  const auto claims = jose::CheckClaims(jws->claims_json,
                                        {.issuer = row.name,
                                         .audience = service.config.issuer,
                                         .now_s = service.clock.NowMs() / 1000,
                                         .max_lifetime_s = kMaxAssertionLifeS});
  if (!claims) return Refuse("assertion: " + claims.error().detail);
  if (claims->subject != row.name) return Refuse("another sub");
  if (claims->jti.empty() || claims->jti.size() > kMaxJti) {
    return Refuse("jti is needed");
  }
  const std::string once =
      "assertion:" + ToBase64Url(Sha256(AsBytes(row.name + " " + claims->jti)));
  bool first = false;
  const auto spend = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(
        first, transaction.ConsumeOnce(once, claims->expires_at_s + 60));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Write(spend));
  if (!first) return Refuse("the assertion was used before");
  return row;
}

// The name that an assertion claims, where the body does not say it.
std::string ClaimedName(std::string_view assertion) {
  const size_t dot = assertion.find('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view rest = assertion.substr(dot + 1);
  const auto bytes = FromBase64Url(rest.substr(0, rest.find('.')));
  if (!bytes) return {};
  const auto claims =
      jose::JsonObject::Parse(AsString(*bytes), jose::kMaxTokenSize);
  return claims ? claims->Text("sub").value_or("") : std::string();
}

}  // namespace

Result<ClientRow> AuthenticateResourceServer(
    const Service& service, const ClientCredentials& credentials) {
  const bool asserts =
      !credentials.assertion.empty() || !credentials.assertion_type.empty();
  if (asserts && !credentials.authorization.empty()) {
    return Refuse("one kind of credentials, not two");
  }
  if (asserts) {
    ClientCredentials named = credentials;
    if (named.client_id.empty()) {
      named.client_id = ClaimedName(credentials.assertion);
    }
    return CheckAssertion(service, named);
  }
  CS_ASSIGN_OR_RETURN(ClientRow row,
                      CheckSecret(service, credentials.authorization));
  if (!credentials.client_id.empty() && credentials.client_id != row.name) {
    return Refuse("client_id is another's");
  }
  return row;
}

Result<NewClient> MakeClient(const std::string& name,
                             const std::string& audience,
                             const std::string& jwks_json, int64_t now_ms) {
  if (!IsName(name)) {
    return Fail(ErrorCode::kBadRequest,
                "a client's name is 1 to 64 of A-Z a-z 0-9 . _ -");
  }
  const auto uri = ParseUri(audience);
  if (!uri || uri->scheme != "https" || audience.size() > kMaxAudienceSize) {
    return Fail(ErrorCode::kBadRequest, "the audience must be an https URL");
  }
  NewClient client;
  client.row.name = name;
  client.row.audience = audience;
  client.row.created_ms = now_ms;
  if (!jwks_json.empty()) {
    CS_ASSIGN_OR_RETURN(const jose::KeySet keys,
                        jose::KeySet::FromJson(jwks_json));
    if (keys.empty()) {
      return Fail(ErrorCode::kBadRequest, "no ES256 key in the JWK Set");
    }
    client.row.jwks = keys.ToJson();
    return client;
  }
  client.secret =
      std::string(kSecretPrefix) + ToBase64Url(RandomBytes(kSecretSize));
  client.row.secret_sha256 = Sha256(AsBytes(client.secret));
  return client;
}

}  // namespace countersign::authz
