#include "tests/attest/authz/oauth_rig.h"

#include <zlib.h>

#include "attest/authz/oauth/attested_client.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/oauth/resource_server.h"
#include "attest/jose/dpop.h"
#include "attest/jose/jws.h"

namespace countersign::authz {
namespace {

std::string Encoded(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      out += c;
    } else {
      out += "%" + ToHex(AsBytes(std::string(1, c)));
    }
  }
  return out;
}

}  // namespace

std::string FormBody(const FormFields& fields) {
  std::string body;
  for (const auto& [name, value] : fields) {
    body += (body.empty() ? "" : "&") + Encoded(name) + "=" + Encoded(value);
  }
  return body;
}

OAuthTest::OAuthTest()
    : laptop_(rig_),
      api_(std::make_unique<Api>(*rig_.service,
                                 *EkAdmission::Load(rig_.config.enrollment))) {
  laptop_.Enroll();
  session_ = OpenSession(laptop_);
  server_ = NewServer("api");
}

OAuthTest::Session OAuthTest::OpenSession(Laptop& laptop) {
  auto key = std::make_shared<const jose::Es256Key>(
      jose::Es256Key::Generate().value());
  verifier::SessionParts parts = laptop.NewSession();
  parts.binding.set_pop_jkt(key->kid());
  v1::SessionEvidence evidence = parts.Build();
  evidence.set_pop_x(AsString(key->public_key().x()));
  evidence.set_pop_y(AsString(key->public_key().y()));
  Session session{.opened = {.binding = parts.binding,
                             .digest = statement::StatementDigest(
                                 statement::StatementType::kSessionBinding,
                                 AsBytes(evidence.statement().body())),
                             .answer = laptop.Send(evidence).value()},
                  .key = std::move(key)};
  laptop.epoch_nonce = ToBytes(AsBytes(session.opened.answer.epoch_nonce()));
  return session;
}

Response OAuthTest::Handle(Request request) {
  request.remote_address = "192.0.2.1";
  return api_->Handle(request);
}

Response OAuthTest::Post(const std::string& path, const FormFields& fields,
                         const std::string& authorization) {
  Request request;
  request.method = "POST";
  request.path = path;
  request.content_type = "application/x-www-form-urlencoded";
  request.authorization = authorization;
  request.body = FormBody(fields);
  return Handle(std::move(request));
}

Response OAuthTest::PostAttested(
    const std::string& path, const FormFields& fields, const Session& session,
    const std::function<void(ProofParts&, Request&)>& change) {
  Request request;
  request.method = "POST";
  request.path = path;
  request.content_type = "application/x-www-form-urlencoded";
  request.client_attestation = session.opened.answer.client_attestation();
  request.body = FormBody(fields);
  ProofParts parts;
  parts.url = rig_.config.issuer + path;
  parts.nonce = DpopNonce(*rig_.service);
  parts.at_s = rig_.clock.NowMs() / 1000;
  parts.jti = ToHex(RandomBytes(16));
  if (change) change(parts, request);
  if (request.dpop.empty()) {
    request.dpop = jose::CreateDpopProof(*session.key,
                                         {parts.method, parts.url,
                                          parts.access_token, parts.nonce},
                                         parts.at_s, parts.jti)
                       .value();
  } else if (request.dpop == "none") {
    request.dpop.clear();
  }
  return Handle(std::move(request));
}

FormFields OAuthTest::Exchange(const v1::ActionDecision& decision) {
  return {{"grant_type", std::string(kTokenExchange)},
          {"subject_token", decision.receipt()},
          {"subject_token_type", std::string(kReceiptType)},
          {"audience", kAudience}};
}

std::string OAuthTest::NewServer(const std::string& name,
                                 const std::string& audience) {
  const NewClient client =
      MakeClient(name, audience, {}, rig_.clock.NowMs()).value();
  EXPECT_TRUE(rig_.store
                  ->Write([&](StoreTransaction& transaction) {
                    return transaction.PutClient(client.row);
                  })
                  .has_value());
  return "Basic " + ToBase64(AsBytes(name + ":" + client.secret));
}

nlohmann::json OAuthTest::Introspect(const std::string& token,
                                     const std::string& authorization) {
  const Response response =
      Post("/oauth/introspect", {{"token", token}}, authorization);
  EXPECT_EQ(response.status, 200) << response.body;
  return Json(response);
}

nlohmann::json OAuthTest::ClaimsOf(const std::string& jws,
                                   std::string_view typ) {
  const auto verified = jose::VerifyJws(jws, typ, rig_.issuer->keys());
  EXPECT_TRUE(verified.has_value());
  return nlohmann::json::parse(verified->claims_json);
}

bool OAuthTest::StatusBit(const std::string& grant) {
  const auto place = ClaimsOf(grant, jose::kTypGrant)["status"]["status_list"];
  const std::string uri = place["uri"];
  Request request;
  request.method = "GET";
  request.path = uri.substr(rig_.config.issuer.size());
  const Response response = Handle(std::move(request));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.content_type, "application/statuslist+jwt");
  const auto claims = ClaimsOf(response.body, jose::kTypStatusList);
  EXPECT_EQ(claims["sub"], uri);
  const Bytes packed =
      FromBase64Url(claims["status_list"]["lst"].get<std::string>()).value();
  Bytes bits(kStatusListSize / 8);
  uLongf size = bits.size();
  EXPECT_EQ(::uncompress(bits.data(), &size, packed.data(), packed.size()),
            Z_OK);
  const uint64_t index = place["idx"];
  return (bits[index / 8] >> (index % 8) & 1) != 0;
}

nlohmann::json OAuthTest::Json(const Response& response) {
  return nlohmann::json::parse(response.body);
}

std::string OAuthTest::ErrorOf(const Response& response) {
  if (response.status == 200) return "none: " + response.body;
  return Json(response).value("error", response.body);
}

std::string OAuthTest::Header(const Response& response,
                              const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace countersign::authz
