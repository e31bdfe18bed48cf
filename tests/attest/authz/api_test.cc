#include "attest/authz/api.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "attest/authz/tokens.h"
#include "attest/jose/signed_answer.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ApiTest : public testing::Test {
 protected:
  ApiTest() : laptop_(rig_), api_(Fresh()) {}

  std::unique_ptr<Api> Fresh() {
    return std::make_unique<Api>(*rig_.service,
                                 *EkAdmission::Load(rig_.config.enrollment));
  }
  Response Ask(const std::string& method, const std::string& path,
               const std::string& body = {},
               const std::string& type = "application/x-protobuf",
               const std::string& authorization = {}) {
    Request request;
    request.method = method;
    const size_t question = path.find('?');
    request.path = path.substr(0, question);
    if (question != std::string::npos)
      request.query = path.substr(question + 1);
    request.body = body;
    request.content_type = type;
    request.authorization = authorization;
    request.remote_address = "192.0.2.1";
    request.tls_exporter = kConnection.tls_exporter;
    return api_->Handle(request);
  }
  Response AskJson(const std::string& path, const std::string& body) {
    return Ask("POST", path, body, "application/json");
  }
  // The payload of a signed answer to `request`, or its signed refusal.
  Result<std::string> Open(const Response& response, const std::string& request,
                           std::string_view kind, const std::string& audience) {
    v1::ServiceSigned answer;
    EXPECT_TRUE(answer.ParseFromString(response.body));
    jose::KeySet keys;
    keys.Add(rig_.service_key.public_key());
    return jose::VerifyAnswer(keys,
                              {verifier::kIssuer, audience, std::string(kind)},
                              Sha256(AsBytes(request)), answer);
  }
  std::string Admin() { return "Bearer " + rig_.NewAdminToken(); }

  ServiceRig rig_;
  Laptop laptop_;
  std::unique_ptr<Api> api_;
};

v1::ChallengeRequest ChallengeFor(const Bytes& device_id) {
  v1::ChallengeRequest request;
  request.set_purpose("session");
  request.set_device_id(AsString(device_id));
  request.set_request_nonce(verifier::RandomString(16));
  return request;
}

// The whole way of one action in protobuf bodies.
TEST_F(ApiTest, CarriesADeviceFromEnrollmentToAGrant) {
  const std::string token = rig_.NewToken();
  std::string body = laptop_.EnrollmentRequestWith(token).SerializeAsString();
  Response response = Ask("POST", "/v1/enrollments", body);
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.content_type, "application/x-protobuf");
  v1::EnrollmentAnswer enrollment;
  ASSERT_TRUE(enrollment.ParseFromString(
      Open(response, body, jose::kKindEnrollment, "").value()));

  body = laptop_.ActivationFor(enrollment, token).SerializeAsString();
  response = Ask("POST",
                 "/v1/enrollments/" +
                     ToHex(AsBytes(enrollment.enrollment_id())) + "/activation",
                 body);
  v1::DeviceRecord record;
  ASSERT_TRUE(record.ParseFromString(
      Open(response, body, jose::kKindDeviceRecord, "").value()));
  laptop_.device.device_id = ToBytes(AsBytes(record.device_id()));
  const std::string audience = ToHex(laptop_.device.device_id);

  verifier::SessionParts parts = laptop_.NewSession();
  body = ChallengeFor(laptop_.device.device_id).SerializeAsString();
  v1::ChallengeAnswer challenge;
  ASSERT_TRUE(
      challenge.ParseFromString(Open(Ask("POST", "/v1/challenges", body), body,
                                     jose::kKindChallenge, audience)
                                    .value()));
  parts.binding.set_nonce(challenge.nonce());
  body = parts.Build().SerializeAsString();
  v1::SessionAnswer session;
  ASSERT_TRUE(session.ParseFromString(Open(Ask("POST", "/v1/sessions", body),
                                           body, jose::kKindSession, audience)
                                          .value()));
  laptop_.epoch_nonce = ToBytes(AsBytes(session.epoch_nonce()));

  LaptopSession opened{.binding = parts.binding, .answer = session};
  v1::SessionEvidence evidence;
  evidence.ParseFromString(body);
  opened.digest =
      statement::StatementDigest(statement::StatementType::kSessionBinding,
                                 AsBytes(evidence.statement().body()));
  body = laptop_.NewBatch({laptop_.NewAction(opened)}).SerializeAsString();
  v1::BatchAnswer decisions;
  ASSERT_TRUE(
      decisions.ParseFromString(Open(Ask("POST", "/v1/actions", body), body,
                                     jose::kKindDecisions, audience)
                                    .value()));
  EXPECT_EQ(decisions.decisions(0).decision(), "permit");
  EXPECT_FALSE(decisions.decisions(0).grant().empty());
}

TEST_F(ApiTest, SignsARefusalForTheDeviceThatAsked) {
  const Bytes nobody = RandomBytes(16);
  const std::string body = ChallengeFor(nobody).SerializeAsString();
  const Response response = Ask("POST", "/v1/challenges", body);
  EXPECT_EQ(response.status, 403);
  const auto answer = Open(response, body, jose::kKindChallenge, ToHex(nobody));
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kDeviceUnknown);
}

TEST_F(ApiTest, SaysWhatIsExpectedInASignedConflict) {
  laptop_.Enroll();
  const LaptopSession session = laptop_.OpenSession();
  laptop_.next_batch = 3;
  const std::string body =
      laptop_.NewBatch({laptop_.NewAction(session)}).SerializeAsString();
  const Response response = Ask("POST", "/v1/actions", body);
  EXPECT_EQ(response.status, 409);
  v1::BatchAnswer answer;
  ASSERT_TRUE(answer.ParseFromString(Open(response, body, jose::kKindDecisions,
                                          ToHex(laptop_.device.device_id))
                                         .value()));
  EXPECT_EQ(answer.error().reason(), "sequence_conflict");
  EXPECT_EQ(answer.expected_batch_sequence(), 0u);
}

TEST_F(ApiTest, SpeaksJsonWithProblemDetails) {
  laptop_.Enroll();
  v1::ChallengeRequest request = ChallengeFor(laptop_.device.device_id);
  std::string body;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(request, &body).ok());
  const Response good = AskJson("/v1/challenges", body);
  EXPECT_EQ(good.status, 200) << good.body;
  EXPECT_TRUE(json::parse(good.body).contains("jws"));
  const Response bad = AskJson("/v1/challenges", "{}");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.content_type, "application/problem+json");
  const json problem = json::parse(bad.body);
  EXPECT_EQ(problem["status"], 400);
  EXPECT_EQ(problem["code"], "bad_request");
  EXPECT_FALSE(problem["remedy"].get<std::string>().empty());
}

// A14, A32
TEST_F(ApiTest, RefusesJsonThatTwoReadersCouldReadTwoWays) {
  const std::string deep =
      std::string(100'000, '[') + std::string(100'000, ']');
  for (const std::string& body :
       {std::string(R"({"purpose":"session","purpose":"epoch"})"),
        std::string(R"({"purpose":"session","purp\u006fse":"epoch"})"),
        std::string("\xef\xbb\xbf{}"), std::string("{} x"), std::string(""),
        std::string(R"({"purpose":"\ud800"})"), std::string(R"({"x":NaN})"),
        std::string(R"({"unknown":1})"), std::string("[]"),
        "{\"session_ids\":" + deep + "}"}) {
    EXPECT_EQ(AskJson("/v1/challenges", body).status, 400)
        << body.substr(0, 60);
  }
}

TEST_F(ApiTest, RefusesBodiesThatAreNoMessages) {
  for (const char* path :
       {"/v1/enrollments", "/v1/challenges", "/v1/sessions", "/v1/actions"}) {
    const Response response = Ask("POST", path, "\xff\xff\xff");
    EXPECT_EQ(response.status, 400) << path;
    EXPECT_EQ(Ask("POST", path, "x", "text/plain").status, 415) << path;
    EXPECT_GE(Ask("POST", path, "").status, 400) << path;
  }
  EXPECT_EQ(Ask("POST", "/v1/receipts/verify", "\xff").status, 400);
  EXPECT_EQ(Ask("POST", "/v1/receipts/verify", "x", "").status, 415);
}

TEST_F(ApiTest, KnowsItsRoutesAndMethods) {
  EXPECT_EQ(Ask("GET", "/").status, 404);
  EXPECT_EQ(Ask("GET", "/v1/enrollments").status, 405);
  EXPECT_EQ(Ask("PUT", "/v1/actions").status, 405);
  EXPECT_EQ(Ask("PUT", "/v1/actions").allow, "POST");
  EXPECT_EQ(Ask("POST", "/v1/jwks").allow, "GET, HEAD");
  EXPECT_EQ(Ask("GET", "/").allow, "");
  EXPECT_EQ(Ask("HEAD", "/v1/jwks").status, 200);
  EXPECT_EQ(Ask("HEAD", "/v1/actions").status, 405);
  EXPECT_EQ(Ask("HEAD", "/v1/devices").status, 401);
  EXPECT_EQ(Ask("POST", "/v1/enrollments/x/y/activation").status, 404);
  EXPECT_EQ(Ask("POST", "/v1/enrollments//activation").status, 404);
  EXPECT_EQ(Ask("POST", "/v1/enrollments/../activation").status, 404);
  EXPECT_EQ(Ask("GET", "/v1/devices/").status, 404);
  EXPECT_EQ(api_->MaxBody("GET", "/v1/jwks"), 0u);
  EXPECT_EQ(api_->MaxBody("POST", "/nowhere"), 0u);
  EXPECT_GE(api_->MaxBody("POST", "/v1/actions"), 768u * 1024);
}

// A40: over the table itself, so that a new route is covered as it appears.
TEST_F(ApiTest, RefusesEveryAdminRouteWithoutGoodCredentials) {
  const std::string revoked = rig_.NewAdminToken();
  auto row = rig_.Look([&](StoreView& view) {
    return view.FindToken(*AdminTokenKey("Bearer " + revoked));
  });
  row->revoked = true;
  ASSERT_TRUE(rig_.store
                  ->Write([&](StoreTransaction& transaction) {
                    return transaction.PutToken(*row);
                  })
                  .has_value());
  const std::string expired = rig_.NewAdminToken(1);
  rig_.clock.Advance(1'000);
  int admin_routes = 0;
  for (const Route& route : api_->routes()) {
    const bool open = route.authentication == Authentication::kPublic &&
                      route.method == "GET" && route.max_body == 0;
    const bool evidence = route.authentication != Authentication::kPublic &&
                          route.method == "POST";
    if (route.authentication != Authentication::kAdmin) {
      EXPECT_TRUE(open || evidence) << route.pattern;
      continue;
    }
    ++admin_routes;
    std::string path(route.pattern);
    if (const size_t at = path.find("{id}"); at != std::string::npos) {
      path.replace(at, 4, ToHex(RandomBytes(16)));
    }
    for (const std::string& credentials :
         {std::string(), std::string("Bearer "), std::string("Bearer x"),
          "Basic " + rig_.NewAdminToken(), "Bearer " + revoked,
          "Bearer " + expired, "Bearer " + rig_.NewToken(),
          "bearer " + rig_.NewAdminToken(),
          "Bearer csa1." + ToBase64Url(RandomBytes(32))}) {
      const Response response =
          Ask(std::string(route.method), path, "", "", credentials);
      EXPECT_EQ(response.status, 401) << route.pattern << " " << credentials;
      EXPECT_THAT(response.body, HasSubstr("unauthorized"));
    }
  }
  EXPECT_EQ(admin_routes, 3);
}

TEST_F(ApiTest, ListsDevicesInPages) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    Laptop laptop(rig_);
    laptop.Enroll();
    ids.push_back(ToHex(laptop.device.device_id));
  }
  std::ranges::sort(ids);
  const std::string admin = Admin();
  const auto page = [&](const std::string& query) {
    return json::parse(Ask("GET", "/v1/devices" + query, "", "", admin).body);
  };
  const json first = page("?limit=2");
  ASSERT_EQ(first["devices"].size(), 2u);
  EXPECT_EQ(first["devices"][0]["device_id"], ids[0]);
  EXPECT_EQ(first["devices"][0]["state"], "active");
  EXPECT_EQ(first["devices"][0]["hostname"], "laptop");
  EXPECT_EQ(first["next_after"], ids[1]);
  const json second = page("?limit=2&after=" + ids[1]);
  ASSERT_EQ(second["devices"].size(), 1u);
  EXPECT_FALSE(second.contains("next_after"));
}

// A31
TEST_F(ApiTest, RefusesImpossiblePages) {
  const std::string admin = Admin();
  for (const char* query :
       {"limit=9223372036854775808", "limit=-1", "limit=0", "limit=1001",
        "limit=1e3", "limit=", "limit=2&limit=3", "after=zz",
        "after=", "after=00", "offset=1", "limit=2&"}) {
    const Response response =
        Ask("GET", "/v1/devices?" + std::string(query), "", "", admin);
    EXPECT_EQ(response.status, query == std::string("limit=2&") ? 200 : 400)
        << query;
  }
}

TEST_F(ApiTest, RevokesADeviceInTheLedgerAndItsSessions) {
  laptop_.Enroll();
  const LaptopSession session = laptop_.OpenSession();
  const std::string id = ToHex(laptop_.device.device_id);
  const std::string admin = Admin();
  const size_t before = rig_.LedgerSize();
  const Response response =
      Ask("POST", "/v1/devices/" + id + "/revoke", "", "", admin);
  ASSERT_EQ(response.status, 200) << response.body;
  const auto ledger = rig_.Ledger();
  ASSERT_EQ(ledger.size(), before + 2);
  EXPECT_EQ(ledger[before].kind(), v1::ENTRY_KIND_REVOCATION);
  EXPECT_EQ(ledger[before + 1].kind(), v1::ENTRY_KIND_SESSION_END);
  EXPECT_EQ(json::parse(response.body)["revoked_index"], before);
  const v1::LedgerEntry entry = rig_.Ledger()[before];
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_REVOCATION);
  EXPECT_EQ(entry.detail(),
            "admin token " + TokenId(AdminTokenKey(admin).value()));
  // A second time changes nothing.
  EXPECT_EQ(
      json::parse(Ask("POST", "/v1/devices/" + id + "/revoke", "", "", admin)
                      .body)["revoked_index"],
      before);
  EXPECT_EQ(rig_.LedgerSize(), before + 2);
  EXPECT_EQ(
      json::parse(Ask("GET", "/v1/devices/" + id, "", "", admin).body)["state"],
      "revoked");
  EXPECT_EQ(Ask("POST", "/v1/devices/" + ToHex(RandomBytes(16)) + "/revoke", "",
                "", admin)
                .status,
            404);
  EXPECT_EQ(Ask("GET", "/v1/devices/xyz", "", "", admin).status, 400);
}

// A53
TEST_F(ApiTest, TakesNoSecretFromAUrl) {
  const std::string body =
      laptop_.EnrollmentRequestWith("").SerializeAsString();
  EXPECT_EQ(
      Ask("POST", "/v1/enrollments?token=" + rig_.NewToken(), body).status,
      400);
}

// A53, F22
TEST_F(ApiTest, SlowsDownWhoGuessesTokens) {
  rig_.config.limits.enrollments_per_min = 5;
  api_ = Fresh();
  const auto guess = [&] {
    return Ask("POST", "/v1/enrollments",
               laptop_.EnrollmentRequestWith("cs1.x.y").SerializeAsString());
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(guess().status, 401);
  const Response limited = guess();
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.retry_after_s, 12);
}

// A49
TEST_F(ApiTest, LimitsTheRequestsOfOneAddress) {
  rig_.config.limits.requests_per_s = 5;
  api_ = Fresh();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask("GET", "/v1/jwks").status, 200);
  const Response limited = Ask("GET", "/v1/jwks");
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.retry_after_s, 1);
  rig_.clock.Advance(1'000);
  EXPECT_EQ(Ask("GET", "/v1/jwks").status, 200);
}

TEST_F(ApiTest, PublishesItsKeys) {
  for (const char* path : {"/v1/jwks", "/.well-known/jwks.json"}) {
    const Response response = Ask("GET", path);
    const auto keys = jose::KeySet::FromJson(response.body);
    ASSERT_TRUE(keys.has_value());
    EXPECT_NE(keys->Find(rig_.service_key.kid()), nullptr);
  }
}

TEST_F(ApiTest, PublishesTheLedgerAsTiles) {
  const auto checkpoint = ledger::OpenCheckpoint(
      Ask("GET", "/v1/log/checkpoint").body, rig_.ledger_key.verifier());
  ASSERT_TRUE(checkpoint.has_value());
  EXPECT_EQ(checkpoint->head.size, 2u);
  const Response hashes = Ask("GET", "/v1/log/tile/0/000.p/2");
  EXPECT_EQ(hashes.status, 200);
  ASSERT_EQ(hashes.body.size(), 64u);
  EXPECT_THAT(hashes.cache_control, HasSubstr("immutable"));
  const Response bundle = Ask("GET", "/v1/log/tile/entries/000.p/2");
  const auto entries = ledger::DecodeEntryBundle(AsBytes(bundle.body));
  ASSERT_TRUE(entries.has_value());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ(hashes.body.substr(0, 32),
            AsString(statement::LeafHash((*entries)[0])));
  for (const char* path :
       {"0/000", "0/000.p/3", "0/001.p/1", "entries/000", "0/000.p/0", "0/0",
        "9/000.p/1", "../checkpoint", "entries/x000/000.p/1", "-1/000.p/1"}) {
    EXPECT_EQ(Ask("GET", "/v1/log/tile/" + std::string(path)).status, 404)
        << path;
  }
}

TEST_F(ApiTest, SaysThatItIsWell) {
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
}

// Our own trouble is named to the operator's log, not to callers.
TEST_F(ApiTest, KeepsItsOwnTroubleToItself) {
  laptop_.Enroll();
  std::filesystem::remove(rig_.config.head_file);
  v1::ServiceSigned answer;
  verifier::SessionParts parts = laptop_.NewSession();
  const std::string body = parts.Build().SerializeAsString();
  const Response response = Ask("POST", "/v1/sessions", body);
  EXPECT_EQ(response.status, 500);
  const auto opened =
      Open(response, body, jose::kKindSession, ToHex(laptop_.device.device_id));
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kLedgerRolledBack);
  EXPECT_THAT(opened.error().detail,
              testing::Not(HasSubstr(rig_.config.head_file)));
}

TEST(RouterTest, MatchesPatterns) {
  EXPECT_EQ(MatchPath("/a/{id}/b", "/a/x/b"), "x");
  EXPECT_EQ(MatchPath("/a/{id}", "/a/x"), "x");
  EXPECT_FALSE(MatchPath("/a/{id}", "/a/x/y").has_value());
  EXPECT_FALSE(MatchPath("/a/{id}", "/a/").has_value());
  EXPECT_FALSE(MatchPath("/a/{id}/b", "/a/x").has_value());
  EXPECT_EQ(MatchPath("/t/{rest}", "/t/x/y/z"), "x/y/z");
  EXPECT_FALSE(MatchPath("/t/{rest}", "/t/").has_value());
  EXPECT_EQ(MatchPath("/a", "/a"), "");
  EXPECT_FALSE(MatchPath("/a", "/a/").has_value());
}

}  // namespace
}  // namespace countersign::authz
