// POST /oauth/token: redeems a permitted action once, and nothing else.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "attest/authz/oauth/attested_client.h"
#include "attest/authz/oauth/form.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/revocation.h"
#include "attest/jose/dpop.h"
#include "attest/jose/jws.h"
#include "tests/attest/authz/oauth_rig.h"
#include "tests/fails_with.h"

namespace countersign::authz {
namespace {

using testing::HasSubstr;

using OAuthTokenTest = OAuthTest;

TEST_F(OAuthTokenTest, GivesTheGrantOfThePermittedAction) {
  const v1::ActionDecision decision = Permit();
  rig_.clock.Advance(5'000);
  const Response response = Redeem(decision);
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.cache_control, "no-store");
  const auto answer = Json(response);
  EXPECT_EQ(answer["token_type"], "DPoP");
  EXPECT_EQ(answer["issued_token_type"], kAccessTokenType);
  EXPECT_EQ(answer["expires_in"], 115);  // Never extended.
  const auto same = ClaimsOf(decision.grant(), jose::kTypGrant);
  EXPECT_EQ(ClaimsOf(answer["access_token"], jose::kTypGrant), same);
  EXPECT_EQ(answer["authorization_details"], same["authorization_details"]);
  EXPECT_EQ(same["authorization_details"][0]["actions"][0], "http:POST");
}

TEST_F(OAuthTokenTest, RejectsASecondRedemption) {  // A37
  const v1::ActionDecision decision = Permit();
  ASSERT_EQ(Redeem(decision).status, 200);
  const Response again = Redeem(decision);
  EXPECT_EQ(again.status, 400);
  EXPECT_THAT(again.body, HasSubstr("grant_redeemed"));
}

TEST_F(OAuthTokenTest, LetsOneOfManyRacersRedeem) {
  const v1::ActionDecision decision = Permit();
  std::atomic<int> redeemed = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < 8; ++i) {
      racers.emplace_back([&] {
        const Response response = Redeem(decision);
        if (response.status == 200) ++redeemed;
        if (response.body.find("grant_redeemed") != std::string::npos) {
          ++refused;
        }
      });
    }
  }
  EXPECT_EQ(redeemed, 1);
  EXPECT_EQ(refused, 7);
}

TEST_F(OAuthTokenTest, LeavesTheReceiptToItsRelyingParty) {
  const v1::ActionDecision decision = Permit();
  ASSERT_EQ(Redeem(decision).status, 200);
  v1::ReceiptVerifyRequest verify;
  verify.set_receipt(decision.receipt());
  verify.set_audience(kAudience);
  verify.set_method("POST");
  verify.set_uri("https://api.example/orders/1");
  verify.set_request_sha256(AsString(Sha256(AsBytes("body"))));
  Request request;
  request.method = "POST";
  request.path = "/v1/receipts/verify";
  request.content_type = "application/x-protobuf";
  request.body = verify.SerializeAsString();
  v1::ReceiptVerifyAnswer answer;
  ASSERT_TRUE(answer.ParseFromString(Handle(std::move(request)).body));
  EXPECT_TRUE(answer.valid()) << answer.error().reason();
}

TEST_F(OAuthTokenTest, RejectsARequestWithoutAttestation) {  // A37
  const Response response = Redeem(Permit(), [](ProofParts&, Request& request) {
    request.client_attestation.clear();
  });
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(ErrorOf(response), "invalid_client");
}

TEST_F(OAuthTokenTest, RejectsAnAttestationOfNobodys) {
  const Response response = Redeem(Permit(), [](ProofParts&, Request& request) {
    request.client_attestation[5] ^= 1;
  });
  EXPECT_EQ(ErrorOf(response), "invalid_client");
}

// Another session's attestation beside this session's proof.
TEST_F(OAuthTokenTest, RejectsTheAttestationOfAnotherSession) {
  const Session other = OpenSession(laptop_);
  const Response response =
      Redeem(Permit(), [&](ProofParts&, Request& request) {
        request.client_attestation = other.opened.answer.client_attestation();
      });
  EXPECT_EQ(ErrorOf(response), "invalid_dpop_proof");
}

// All of another session: the action is not its own.
TEST_F(OAuthTokenTest, RejectsTheActionOfAnotherSession) {  // A37
  const Session other = OpenSession(laptop_);
  const v1::ActionDecision decision = Permit();
  const Response response =
      PostAttested("/oauth/token", Exchange(decision), other);
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr("session_key_mismatch"));
  EXPECT_EQ(Redeem(decision).status, 200);  // And nothing was spent by it.
}

TEST_F(OAuthTokenTest, RejectsTheActionOfAnotherDevice) {  // A37
  Laptop other(rig_);
  other.Enroll();
  const Session elsewhere = OpenSession(other);
  const Response response =
      PostAttested("/oauth/token", Exchange(Permit()), elsewhere);
  EXPECT_THAT(response.body, HasSubstr("session_key_mismatch"));
}

TEST_F(OAuthTokenTest, RejectsASeparatePop) {
  const Response response = Redeem(Permit(), [](ProofParts&, Request& request) {
    request.client_attestation_pop = "a.b.c";
  });
  EXPECT_EQ(ErrorOf(response), "invalid_client");
}

TEST_F(OAuthTokenTest, RejectsARequestWithoutProof) {
  const Response response = Redeem(
      Permit(), [](ProofParts&, Request& request) { request.dpop = "none"; });
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(ErrorOf(response), "invalid_dpop_proof");
}

TEST_F(OAuthTokenTest, RejectsAReplayedProof) {  // A37
  const v1::ActionDecision decision = Permit();
  const auto fixed = [](ProofParts& parts, Request&) { parts.jti = "same"; };
  ASSERT_EQ(Redeem(decision, fixed).status, 200);
  const Response response = Redeem(Permit(), fixed);
  EXPECT_EQ(ErrorOf(response), "invalid_dpop_proof");
  EXPECT_THAT(response.body, HasSubstr("dpop_replayed"));
}

// A request that was refused has spent its proof as well.
TEST_F(OAuthTokenTest, RejectsTheProofOfARefusedRequest) {
  const auto fixed = [](ProofParts& parts, Request&) { parts.jti = "same"; };
  FormFields wrong = Exchange(Permit());
  wrong["audience"] = "https://other.example";
  ASSERT_EQ(ErrorOf(PostAttested("/oauth/token", wrong, session_, fixed)),
            "invalid_target");
  EXPECT_THAT(Redeem(Permit(), fixed).body, HasSubstr("dpop_replayed"));
}

TEST_F(OAuthTokenTest, RejectsAProofForAnotherRequest) {  // A37
  const v1::ActionDecision decision = Permit();
  const std::vector<std::function<void(ProofParts&)>> changes{
      [](ProofParts& parts) { parts.url = "https://evil.example/oauth/token"; },
      [](ProofParts& parts) { parts.url += "/more"; },
      [](ProofParts& parts) { parts.method = "GET"; },
      [](ProofParts& parts) { parts.access_token = "a token"; },  // ath
  };
  for (const auto& change : changes) {
    const Response response =
        Redeem(decision, [&](ProofParts& parts, Request&) { change(parts); });
    EXPECT_EQ(ErrorOf(response), "invalid_dpop_proof");
  }
  EXPECT_EQ(Redeem(decision).status, 200);
}

TEST_F(OAuthTokenTest, RejectsAProofOfAnotherKey) {  // A37
  const auto stranger = jose::Es256Key::Generate().value();
  const Response response =
      Redeem(Permit(), [&](ProofParts& parts, Request& request) {
        request.dpop = jose::CreateDpopProof(
                           stranger, {parts.method, parts.url, {}, parts.nonce},
                           parts.at_s, parts.jti)
                           .value();
      });
  EXPECT_EQ(ErrorOf(response), "invalid_dpop_proof");
}

TEST_F(OAuthTokenTest, RejectsAProofFromTheFutureOrThePast) {
  const v1::ActionDecision decision = Permit();
  for (const int64_t off : {-kDpopWindowS - 1, kDpopWindowS + 1}) {
    const Response response = Redeem(
        decision, [&](ProofParts& parts, Request&) { parts.at_s += off; });
    EXPECT_EQ(ErrorOf(response), "invalid_dpop_proof") << off;
  }
  EXPECT_EQ(Redeem(decision, [](ProofParts& parts,
                                Request&) { parts.at_s -= kDpopWindowS; })
                .status,
            200);
}

TEST_F(OAuthTokenTest, AsksForANonceThatIsItsOwnAndNew) {
  const v1::ActionDecision decision = Permit();
  const std::string old = DpopNonce(*rig_.service);
  const Bytes epoch =
      rig_.epochs.Mint(laptop_.device.device_id, rig_.clock.NowMs());
  for (const std::string& nonce :
       {std::string(), std::string("made-up"), ToBase64Url(epoch)}) {
    const Response response = Redeem(
        decision, [&](ProofParts& parts, Request&) { parts.nonce = nonce; });
    EXPECT_EQ(ErrorOf(response), "use_dpop_nonce");
    const std::string fresh = Header(response, "DPoP-Nonce");
    ASSERT_FALSE(fresh.empty());
    EXPECT_EQ(fresh, DpopNonce(*rig_.service));
  }
  EXPECT_EQ(
      Redeem(decision, [&](ProofParts& parts, Request&) { parts.nonce = old; })
          .status,
      200);
  rig_.clock.Advance(301'000);
  EXPECT_EQ(Header(Redeem(decision), "DPoP-Nonce"), DpopNonce(*rig_.service));
  EXPECT_EQ(ErrorOf(Redeem(decision, [&](ProofParts& parts,
                                         Request&) { parts.nonce = old; })),
            "use_dpop_nonce");
}

TEST_F(OAuthTokenTest, RejectsAnotherTarget) {  // A36
  const v1::ActionDecision decision = Permit();
  for (const char* name : {"audience", "resource"}) {
    FormFields fields = Exchange(decision);
    fields[name] = "https://other.example";
    EXPECT_EQ(ErrorOf(PostAttested("/oauth/token", fields, session_)),
              "invalid_target");
  }
  FormFields scoped = Exchange(decision);
  scoped["scope"] = "everything";
  EXPECT_EQ(ErrorOf(PostAttested("/oauth/token", scoped, session_)),
            "invalid_scope");
  FormFields detailed = Exchange(decision);
  detailed["authorization_details"] = "[]";
  EXPECT_EQ(ErrorOf(PostAttested("/oauth/token", detailed, session_)),
            "invalid_authorization_details");
}

TEST_F(OAuthTokenTest, RejectsWhatIsNoTokenExchange) {
  const v1::ActionDecision decision = Permit();
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>>
      cases{{"unsupported_grant_type", {"grant_type", "authorization_code"}},
            {"invalid_request", {"grant_type", ""}},
            {"invalid_request", {"subject_token", ""}},
            {"invalid_request", {"subject_token", "a.b.c"}},
            {"invalid_request", {"subject_token", decision.grant()}},
            {"invalid_request", {"subject_token_type", "urn:x"}},
            {"invalid_request", {"requested_token_type", "urn:x"}},
            {"invalid_request", {"actor_token", "x"}},
            {"invalid_request", {"client_id", "another"}}};
  for (const auto& [error, change] : cases) {
    FormFields fields = Exchange(decision);
    fields[change.first] = change.second;
    EXPECT_EQ(ErrorOf(PostAttested("/oauth/token", fields, session_)), error)
        << change.first;
  }
}

// A denied action has no receipt; that of another one does not help it, and
// one that named no audience has no grant.
TEST_F(OAuthTokenTest, RejectsWhatWasNotPermittedWithAGrant) {
  const v1::ActionDecision denied =
      laptop_.Authorize(session_.opened, "http:PATCH");
  EXPECT_EQ(denied.decision(), "deny");
  EXPECT_TRUE(denied.receipt().empty());
  EXPECT_EQ(ErrorOf(Redeem(denied)), "invalid_request");

  v1::ActionDecision bare = laptop_
                                .Decide(laptop_.NewBatch({laptop_.NewAction(
                                    session_.opened, "http:POST", "")}))
                                .front();
  ASSERT_EQ(bare.decision(), "permit");
  bare.set_receipt(rig_.issuer
                       ->Receipt({.request = v1::ActionRequest(),
                                  .digest = Sha256(AsBytes("no action")),
                                  .issued_s = rig_.clock.NowMs() / 1000},
                                 "jti")
                       .value());
  EXPECT_THAT(PostAttested("/oauth/token",
                           {{"grant_type", std::string(kTokenExchange)},
                            {"subject_token", bare.receipt()},
                            {"subject_token_type", std::string(kReceiptType)}},
                           session_)
                  .body,
              HasSubstr("not_found"));
}

TEST_F(OAuthTokenTest, RejectsAReceiptThatHasExpired) {
  const v1::ActionDecision decision = Permit();
  rig_.clock.Advance(kReceiptTtlS * 1000);
  EXPECT_THAT(Redeem(decision).body, HasSubstr("token_expired"));
}

TEST_F(OAuthTokenTest, RejectsTheActionOfAnEndedSession) {
  const v1::ActionDecision decision = Permit();
  ASSERT_TRUE(rig_.store->Write([&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(
        auto row,
        transaction.FindSession(AsBytes(session_.opened.binding.session_id())));
    row->end_reason = "client_closed";
    return transaction.PutSession(*row);
  }));
  EXPECT_THAT(Redeem(decision).body, HasSubstr("session_ended"));
}

TEST_F(OAuthTokenTest, RejectsTheActionOfARevokedDevice) {
  const v1::ActionDecision decision = Permit();
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "test"));
  EXPECT_THAT(Redeem(decision).body, HasSubstr("device_revoked"));
}

TEST_F(OAuthTokenTest, RejectsParametersThatAreThereTwiceOrTooMany) {
  const v1::ActionDecision decision = Permit();
  const std::string good = FormBody(Exchange(decision));
  std::string many = good;
  for (size_t i = 0; i < Form::kMaxParameters; ++i) {
    many += "&p" + std::to_string(i) + "=1";
  }
  for (const std::string& body :
       {good + "&audience=x", good + "&audience=https%3A%2F%2Fapi.example",
        good + "&a=%", good + "&a=%0", good + "&a=%zz", good + "&a=%00",
        good + "&a=%ff", good + "&a=" + std::string(Form::kMaxValue + 1, 'x'),
        good + "&" + std::string(Form::kMaxName + 1, 'n') + "=", many}) {
    const Response response = Redeem(
        decision, [&](ProofParts&, Request& request) { request.body = body; });
    EXPECT_EQ(ErrorOf(response), "invalid_request") << body.substr(0, 2000);
  }
  const Response json = Redeem(decision, [](ProofParts&, Request& request) {
    request.content_type = "application/json";
  });
  EXPECT_EQ(ErrorOf(json), "invalid_request");
  EXPECT_EQ(api_->MaxBody("POST", "/oauth/token"), Form::kMaxBody);
  EXPECT_EQ(Redeem(decision).status, 200);
}

// A33, A38: text from outside reaches neither SQL nor header nor log as code.
TEST_F(OAuthTokenTest, TakesHostileTextAsTextInEveryField) {
  const std::string evil = "'; DROP TABLE actions; --\"\\ \x7e\xe2\x80\xae";
  const v1::ActionDecision decision = Permit();
  for (const char* name :
       {"grant_type", "subject_token", "subject_token_type", "audience",
        "resource", "scope", "requested_token_type", "client_id",
        "authorization_details", "actor_token", "unknown"}) {
    FormFields fields = Exchange(decision);
    fields[name] = evil;
    const Response response = PostAttested(
        "/oauth/token", fields, session_,
        [&](ProofParts&, Request& request) { request.accept = evil; });
    if (std::string(name) == "unknown") {
      EXPECT_EQ(response.status, 200);  // RFC 6749 §3.2: ignored.
      continue;
    }
    EXPECT_EQ(response.status, 400) << name;
    const std::string said = Json(response)["error_description"];
    for (const char c : said) {
      EXPECT_TRUE(c >= 0x20 && c <= 0x7e && c != '"' && c != '\\') << said;
    }
  }
  for (const char* path : {"/oauth/introspect", "/oauth/revoke"}) {
    EXPECT_EQ(Post(path, {{"token", evil}}, server_).status, 200);
    EXPECT_EQ(Post(path, {{"token", evil}, {"client_id", evil}}).status, 401);
    EXPECT_EQ(Post(path, {{"token", evil}},
                   "Basic " + ToBase64(AsBytes(evil + ":" + evil)))
                  .status,
              401);
  }
  EXPECT_EQ(Redeem(Permit()).status, 200);  // The tables are still there.
}

TEST_F(OAuthTokenTest, MetadataNamesWhatIsThere) {
  Request request;
  request.method = "GET";
  request.path = "/.well-known/oauth-authorization-server";
  const auto metadata = Json(Handle(std::move(request)));
  EXPECT_EQ(metadata["issuer"], rig_.config.issuer);
  EXPECT_EQ(metadata["token_endpoint_auth_methods_supported"][0],
            "attest_jwt_client_auth_dpop");
  for (const char* name : {"token_endpoint", "introspection_endpoint",
                           "revocation_endpoint", "jwks_uri"}) {
    const std::string url = metadata[name];
    const std::string path = url.substr(rig_.config.issuer.size());
    const auto routes = api_->routes();
    EXPECT_TRUE(std::ranges::any_of(routes, [&](const Route& route) {
      return route.pattern == path;
    })) << path;
  }
}

TEST(FormTest, ReadsWhatBrowsersWrite) {
  const auto form = Form::Parse(
      "Application/X-WWW-Form-Urlencoded; charset=UTF-8", "a=1+2&b=%C3%A4&&c");
  ASSERT_TRUE(Succeeds(form));
  EXPECT_EQ(form->Get("a"), "1 2");
  EXPECT_EQ(form->Get("b"), "ä");
  EXPECT_EQ(form->Get("c"), "");
  EXPECT_TRUE(FailsWith(form->Required("c"), ErrorCode::kBadRequest));
}

}  // namespace
}  // namespace countersign::authz
