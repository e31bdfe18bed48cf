// What becomes of a grant once it is out: introspection, revocation, status
// lists and reports of use.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>

#include "attest/authz/audit/action_report.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/oauth/resource_server.h"
#include "attest/authz/revocation.h"
#include "attest/jose/jws.h"
#include "tests/attest/authz/oauth_rig.h"
#include "tests/fails_with.h"

namespace countersign::authz {
namespace {

using testing::HasSubstr;

class OAuthGrantsTest : public OAuthTest {
 protected:
  OAuthGrantsTest() : decision_(Permit()) {}

  Response RevokeAs(const std::string& authorization) {
    return Post("/oauth/revoke", {{"token", decision_.grant()}}, authorization);
  }
  Response Report(const std::string& outcome, const std::string& authorization,
                  const std::string& jti) {
    v1::UseReport report;
    report.set_jti(jti);
    report.set_action_digest(FromHexString(ClaimsOf(
        decision_.grant(), jose::kTypGrant)["evidence"]["action_digest"]));
    report.set_outcome(outcome);
    Request request;
    request.method = "POST";
    request.path = "/v1/reports";
    request.content_type = "application/json";
    request.authorization = authorization;
    EXPECT_TRUE(
        google::protobuf::util::MessageToJsonString(report, &request.body)
            .ok());
    return Handle(std::move(request));
  }
  static std::string FromHexString(const std::string& hex) {
    return AsString(FromHex(hex).value());
  }

  const v1::ActionDecision decision_;
};

TEST_F(OAuthGrantsTest, IntrospectionGivesTheGrantsOwnClaims) {
  const auto answer = Introspect(decision_.grant(), server_);
  EXPECT_TRUE(answer["active"]);
  EXPECT_EQ(answer["token_type"], "DPoP");
  const auto claims = ClaimsOf(decision_.grant(), jose::kTypGrant);
  for (const auto& [name, value] : claims.items()) {
    EXPECT_EQ(answer[name], value) << name;
  }
  const v1::LedgerEntry entry = rig_.LastEntry();
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_REPORT);
  EXPECT_EQ(entry.detail(), "introspected by api");
  EXPECT_EQ(entry.grant_jti(), decision_.grant_jti());
  EXPECT_EQ(entry.refers_to(), decision_.ledger_index() + 1);
}

TEST_F(OAuthGrantsTest, IntrospectionIsRecordedOnceAMinute) {
  Introspect(decision_.grant(), server_);
  const size_t size = rig_.LedgerSize();
  Introspect(decision_.grant(), server_);
  EXPECT_EQ(rig_.LedgerSize(), size);
  rig_.clock.Advance(60'000);
  Introspect(decision_.grant(), server_);
  EXPECT_EQ(rig_.LedgerSize(), size + 1);
}

TEST_F(OAuthGrantsTest, SignsTheAnswerForWhoAsksForThat) {
  Request request;
  request.method = "POST";
  request.path = "/oauth/introspect";
  request.content_type = "application/x-www-form-urlencoded";
  request.accept = "application/token-introspection+jwt";
  request.authorization = server_;
  request.body = FormBody({{"token", decision_.grant()}});
  const Response response = Handle(std::move(request));
  EXPECT_EQ(response.content_type, "application/token-introspection+jwt");
  const auto claims = ClaimsOf(response.body, jose::kTypIntrospection);
  EXPECT_EQ(claims["aud"], "api");
  EXPECT_TRUE(claims["token_introspection"]["active"]);
}

TEST_F(OAuthGrantsTest, SaysNothingOfTheGrantForAnotherAudience) {  // A36
  const std::string other = NewServer("other", "https://other.example");
  EXPECT_EQ(Introspect(decision_.grant(), other),
            nlohmann::json({{"active", false}}));
  EXPECT_EQ(ErrorOf(RevokeAs(other)), "unauthorized_client");
  EXPECT_EQ(Report("used", other, decision_.grant_jti()).status, 403);
  EXPECT_TRUE(Introspect(decision_.grant(), server_)["active"]);
}

TEST_F(OAuthGrantsTest, TakesOnlyGrantsForGrants) {
  std::string forged = decision_.grant();
  forged[forged.size() - 10] ^= 1;
  for (const std::string& token :
       {std::string("x"), forged, decision_.receipt(),
        session_.opened.answer.client_attestation()}) {
    EXPECT_FALSE(Introspect(token, server_)["active"]);
  }
}

TEST_F(OAuthGrantsTest, AnExpiredGrantIsNotActive) {
  rig_.clock.Advance(120'000);
  EXPECT_FALSE(Introspect(decision_.grant(), server_)["active"]);
}

TEST_F(OAuthGrantsTest, RejectsEveryoneWithoutGoodCredentials) {
  const std::string basic = "Basic ";
  for (const std::string& bad :
       {std::string(), std::string("Basic"), basic, basic + "%%%",
        basic + ToBase64(AsBytes("api")), basic + ToBase64(AsBytes("api:")),
        basic + ToBase64(AsBytes("api:wrong")),
        basic + ToBase64(AsBytes("nobody:wrong")),
        std::string("Bearer ") + rig_.NewAdminToken(),
        std::string("DPoP ") + decision_.grant()}) {
    for (const char* path : {"/oauth/introspect", "/oauth/revoke"}) {
      const Response response = Post(path, {{"token", decision_.grant()}}, bad);
      EXPECT_EQ(response.status, 401) << bad;
      EXPECT_EQ(ErrorOf(response), "invalid_client");
      EXPECT_EQ(Header(response, "WWW-Authenticate").empty(), bad.empty());
    }
    EXPECT_EQ(Report("used", bad, decision_.grant_jti()).status, 401);
  }
}

TEST_F(OAuthGrantsTest, RejectsARevokedClient) {
  ASSERT_TRUE(rig_.store->Write([](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(auto row, transaction.FindClient("api"));
    row->revoked = true;
    return transaction.PutClient(*row);
  }));
  EXPECT_EQ(Post("/oauth/introspect", {{"token", "x"}}, server_).status, 401);
}

TEST_F(OAuthGrantsTest, ARevokedGrantIsGoodNowhere) {
  EXPECT_FALSE(StatusBit(decision_.grant()));
  ASSERT_EQ(RevokeAs(server_).status, 200);
  const v1::LedgerEntry entry = rig_.LastEntry();
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_REVOCATION);
  EXPECT_EQ(entry.grant_jti(), decision_.grant_jti());
  EXPECT_EQ(entry.detail(), "grant revoked by resource server api");
  EXPECT_FALSE(Introspect(decision_.grant(), server_)["active"]);
  EXPECT_THAT(Redeem(decision_).body, HasSubstr("grant_revoked"));
  rig_.clock.Advance(1'000);
  EXPECT_TRUE(StatusBit(decision_.grant()));
  const v1::ActionDecision other = Permit();
  rig_.clock.Advance(1'000);
  EXPECT_FALSE(StatusBit(other.grant()));

  const size_t size = rig_.LedgerSize();
  EXPECT_EQ(RevokeAs(server_).status, 200);  // RFC 7009 §2.2
  EXPECT_EQ(rig_.LedgerSize(), size);
}

TEST_F(OAuthGrantsTest, ItsSessionRevokesAGrantAndNoOther) {
  const FormFields fields{{"token", decision_.grant()}};
  const Session other = OpenSession(laptop_);
  EXPECT_EQ(ErrorOf(PostAttested("/oauth/revoke", fields, other)),
            "unauthorized_client");
  EXPECT_TRUE(Introspect(decision_.grant(), server_)["active"]);
  const Response response = PostAttested("/oauth/revoke", fields, session_);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_FALSE(Header(response, "DPoP-Nonce").empty());
  EXPECT_FALSE(Introspect(decision_.grant(), server_)["active"]);
}

// A proof for the token endpoint is none for the revocation endpoint.
TEST_F(OAuthGrantsTest, RejectsARevocationWithAnotherEndpointsProof) {
  const Response response =
      PostAttested("/oauth/revoke", {{"token", decision_.grant()}}, session_,
                   [this](ProofParts& parts, Request&) {
                     parts.url = rig_.config.issuer + "/oauth/token";
                   });
  EXPECT_EQ(ErrorOf(response), "invalid_dpop_proof");
}

TEST_F(OAuthGrantsTest, TheStatusListShowsASessionsEndAndADevicesRevocation) {
  const Session other = OpenSession(laptop_);
  const v1::ActionDecision second = laptop_.Authorize(other.opened);
  ASSERT_TRUE(rig_.store->Write([&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(
        auto row,
        transaction.FindSession(AsBytes(other.opened.binding.session_id())));
    row->end_reason = "client_closed";
    return transaction.PutSession(*row);
  }));
  EXPECT_TRUE(StatusBit(second.grant()));
  EXPECT_FALSE(StatusBit(decision_.grant()));
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "test"));
  rig_.clock.Advance(1'000);
  EXPECT_TRUE(StatusBit(decision_.grant()));
  EXPECT_FALSE(Introspect(decision_.grant(), server_)["active"]);
}

TEST_F(OAuthGrantsTest, ThereIsNoStatusListOfTheFuture) {
  for (const char* segment :
       {"1", "-1", "x", "0x0", "99999999999999999999", "9223372036854775807"}) {
    Request request;
    request.method = "GET";
    request.path = std::string("/v1/status/") + segment;
    EXPECT_EQ(Handle(std::move(request)).status, 404) << segment;
  }
}

TEST_F(OAuthGrantsTest, KeepsOneReportOfEachOutcome) {
  const std::string& jti = decision_.grant_jti();
  EXPECT_EQ(Json(Report("used", server_, jti))["recorded"], true);
  const v1::LedgerEntry entry = rig_.LastEntry();
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_REPORT);
  EXPECT_EQ(entry.detail(), "used, reported by api");
  const size_t size = rig_.LedgerSize();
  EXPECT_EQ(Json(Report("used", server_, jti))["recorded"], false);
  EXPECT_EQ(rig_.LedgerSize(), size);
  EXPECT_EQ(Json(Report("failed", server_, jti))["recorded"], true);
  EXPECT_EQ(Report("'; DROP TABLE actions", server_, jti).status, 400);
  EXPECT_EQ(Report("used", server_, "another").status, 404);
}

// What becomes of one grant is no event of its device or session.
TEST_F(OAuthGrantsTest, TheAuditSaysWhatBecameOfAGrant) {
  Introspect(decision_.grant(), server_);
  ASSERT_EQ(Report("used", server_, decision_.grant_jti()).status, 200);
  ASSERT_EQ(RevokeAs(server_).status, 200);
  const ActionReport report = rig_.Look([&](StoreView& view) {
    return ReportAction(view, rig_.config, rig_.ledger_key.verifier(),
                        std::to_string(decision_.ledger_index()));
  });
  EXPECT_TRUE(report.holds());
  std::map<std::string, CheckedLine> lines;
  for (const CheckedLine& line : report.valid_then) lines[line.key] = line;
  EXPECT_EQ(lines.at("use").mark, Mark::kOk);
  EXPECT_THAT(lines.at("use").fact, HasSubstr("introspected by api (entry"));
  EXPECT_THAT(lines.at("use").fact, HasSubstr("used, reported by api"));
  EXPECT_THAT(lines.at("use").fact, HasSubstr("grant revoked by"));
  EXPECT_THAT(lines.at("revocation").fact, HasSubstr("not been revoked"));
}

TEST_F(OAuthGrantsTest, AServerMaySignInsteadOfKeepingASecret) {
  const auto key = jose::Es256Key::Generate().value();
  jose::KeySet keys;
  keys.Add(key.public_key());
  const NewClient client =
      MakeClient("signer", kAudience, keys.ToJson(), 0).value();
  EXPECT_TRUE(client.secret.empty());
  ASSERT_TRUE(rig_.store->Write([&](StoreTransaction& transaction) {
    return transaction.PutClient(client.row);
  }));
  const int64_t now_s = rig_.clock.NowMs() / 1000;
  const auto assertion = [&](const std::string& audience,
                             const std::string& subject, int64_t life_s,
                             const std::string& jti) {
    const nlohmann::json claims{{"iss", "signer"}, {"sub", subject},
                                {"aud", audience}, {"jti", jti},
                                {"iat", now_s},    {"exp", now_s + life_s}};
    return jose::SignJws(key, "JWT", claims.dump()).value();
  };
  const auto ask = [&](const std::string& token) {
    return Post("/oauth/introspect",
                {{"token", decision_.grant()},
                 {"client_assertion_type", std::string(kJwtBearer)},
                 {"client_assertion", token}})
        .status;
  };
  const std::string& issuer = rig_.config.issuer;
  EXPECT_EQ(ask(assertion(issuer, "signer", 60, "1")), 200);
  EXPECT_EQ(ask(assertion(issuer, "signer", 60, "1")), 401);  // Replayed.
  EXPECT_EQ(ask(assertion("https://other.example", "signer", 60, "2")), 401);
  EXPECT_EQ(ask(assertion(issuer, "api", 60, "3")), 401);
  EXPECT_EQ(ask(assertion(issuer, "signer", 3600, "4")), 401);
  EXPECT_EQ(ask(assertion(issuer, "signer", -60, "5")), 401);
  EXPECT_EQ(ask(assertion(issuer, "signer", 60, "")), 401);
  EXPECT_EQ(ask(decision_.grant()), 401);
}

TEST_F(OAuthGrantsTest, TheStoreKeepsClientsAndTheFirstRevocation) {
  ClientRow row{.name = "signer",
                .audience = kAudience,
                .secret_sha256 = {},
                .jwks = "{}",
                .created_ms = 5,
                .revoked = false};
  ASSERT_TRUE(rig_.store->Write([&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(transaction.PutClient(row));
    row.revoked = true;
    CS_RETURN_IF_ERROR(transaction.PutClient(row));
    CS_RETURN_IF_ERROR(transaction.PutGrantRevocation({7, 100, 8}));
    return transaction.PutGrantRevocation({7, 200, 9});
  }));
  const auto clients =
      rig_.Look([](StoreView& view) { return view.ListClients(); });
  ASSERT_EQ(clients.size(), 2u);
  EXPECT_TRUE(clients[0].secret_sha256.has_value());
  EXPECT_EQ(clients[1].name, "signer");
  EXPECT_EQ(clients[1].jwks, "{}");
  EXPECT_FALSE(clients[1].secret_sha256.has_value());
  EXPECT_TRUE(clients[1].revoked);
  const auto revocation =
      rig_.Look([](StoreView& view) { return view.FindGrantRevocation(7); });
  EXPECT_EQ(revocation->revoked_ms, 100);
  EXPECT_EQ(revocation->revoked_index, 8u);
}

// Indices from `first` on, up to and without `end`.
TEST_F(OAuthGrantsTest, TheStoreFindsEndedGrantsInARange) {
  const uint64_t index = decision_.ledger_index();
  ASSERT_EQ(RevokeAs(server_).status, 200);
  const int64_t now_ms = rig_.clock.NowMs();
  const auto ended = [&](uint64_t first, uint64_t end, int64_t at_ms) {
    return rig_.Look(
        [&](StoreView& view) { return view.EndedGrants(first, end, at_ms); });
  };
  EXPECT_EQ(ended(index, index + 1, now_ms), std::vector<uint64_t>{index});
  EXPECT_TRUE(ended(index + 1, index + 100, now_ms).empty());
  EXPECT_TRUE(ended(0, index, now_ms).empty());
  // Sessions that have expired end their grants.
  const v1::ActionDecision other = Permit();
  EXPECT_TRUE(ended(index + 1, index + 100, now_ms).empty());
  EXPECT_EQ(ended(index + 1, index + 100, INT64_MAX),
            std::vector<uint64_t>{other.ledger_index()});
}

TEST_F(OAuthGrantsTest, RefusesClientsThatCannotBe) {
  for (const auto& [name, audience, jwks] :
       std::vector<std::array<std::string, 3>>{
           {"", kAudience, ""},
           {"a b", kAudience, ""},
           {"'; --", kAudience, ""},
           {std::string(65, 'a'), kAudience, ""},
           {"a", "http://api.example", ""},
           {"a", "api", ""},
           {"a", kAudience, R"({"keys":[]})"},
           {"a", kAudience, "{"}}) {
    EXPECT_FALSE(MakeClient(name, audience, jwks, 0).has_value()) << name;
  }
}

}  // namespace
}  // namespace countersign::authz
