#include "attest/authz/login/login.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/authz/bind_session.h"
#include "attest/authz/challenge_store.h"
#include "attest/authz/login/provider.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"
#include "attest/jose/jws.h"
#include "attest/statement/statement.h"
#include "tests/attest/authz/fake_provider.h"

namespace countersign::authz {
namespace {

using statement::StatementType;
using testing::HasSubstr;
using testing::Not;

const std::string kVerifier(43, 'v');

class LoginTest : public testing::Test {
 protected:
  LoginTest() : idp_(rig_.clock), laptop_(rig_) {
    laptop_.Enroll();
    UseProvider();
  }

  void UseProvider() {
    if (rig_.config.login.oidc.issuer.empty()) {
      rig_.config.login.oidc = idp_.Config();
      rig_.config.login.verification = UserVerification::kOidc;
    }
    provider_ = *Provider::Create(rig_.config.login.oidc, rig_.clock);
    rig_.service->provider = provider_.get();
  }

  std::string Challenge(const std::string& purpose = "login") {
    v1::ChallengeRequest request;
    request.set_purpose(purpose);
    request.set_device_id(AsString(laptop_.device.device_id));
    request.set_request_nonce(verifier::RandomString(16));
    const auto answer = IssueChallenge(*rig_.service, request, kConnection);
    EXPECT_TRUE(answer.has_value()) << answer.error().detail;
    return answer ? answer->nonce() : std::string();
  }

  v1::Login Statement(const std::string& method = "code") {
    v1::Login login;
    login.set_issuer(rig_.config.issuer);
    login.set_tenant(rig_.config.tenant);
    login.set_device_id(AsString(laptop_.device.device_id));
    login.set_ak_name(AsString(laptop_.device.ak.area.name()));
    login.set_challenge(Challenge(method == "logout" ? "logout" : "login"));
    login.set_method(method);
    login.set_os_name("alice");
    login.set_os_id("1000");
    return login;
  }

  static Sha256Digest DigestOf(const v1::Login& login) {
    return statement::StatementDigest(StatementType::kLogin,
                                      statement::SerializeStatement(login));
  }

  v1::LoginEvidence Quoted(const v1::Login& login) {
    v1::LoginEvidence evidence;
    evidence.mutable_statement()->set_type(
        std::string(statement::TypeUri(StatementType::kLogin)));
    evidence.mutable_statement()->set_body(
        AsString(statement::SerializeStatement(login)));
    *evidence.mutable_quote() = laptop_.device.Quote(DigestOf(login));
    if (login.method() == "code") {
      evidence.set_code("code-1");
      evidence.set_code_verifier(kVerifier);
      evidence.set_redirect_uri("http://127.0.0.1:7/callback");
    }
    return evidence;
  }

  Result<v1::LoginAnswer> Post(const v1::LoginEvidence& evidence) {
    return PostLogin(*rig_.service, *rig_.findings, evidence);
  }

  // A sign-in whose ID token `change` has been at.
  Result<v1::LoginAnswer> SignIn(const std::function<void(Json&)>& change =
                                     [](Json&) {}) {
    const v1::Login login = Statement();
    Json claims = idp_.Claims(ToBase64Url(DigestOf(login)));
    change(claims);
    idp_.id_token = idp_.Sign(claims);
    return Post(Quoted(login));
  }

  static ErrorCode CodeOf(const Result<v1::LoginAnswer>& answer) {
    return answer ? ErrorCode::kInternal : answer.error().code;
  }
  void ExpectRefused(const std::function<void(Json&)>& change,
                     ErrorCode expected = ErrorCode::kJwsClaims) {
    const auto answer = SignIn(change);
    EXPECT_EQ(CodeOf(answer), expected)
        << (answer ? "signed in" : answer.error().detail);
    EXPECT_TRUE(Live().empty());
  }

  std::vector<LoginRow> Live() {
    return rig_.Look([&](StoreView& view) {
      return view.LiveLogins(laptop_.device.device_id);
    });
  }

  // A session whose binding names that login.
  Result<v1::SessionAnswer> Open(const std::string& user_session_id,
                                 const std::string& uid = "1000") {
    verifier::SessionParts parts = laptop_.NewSession();
    v1::User& user = *parts.binding.mutable_user();
    user.set_user_session_id(user_session_id);
    user.set_os_id(uid);
    user.set_verification("oidc");
    return laptop_.Send(parts.Build());
  }
  ErrorCode OpenCode(const std::string& user_session_id,
                     const std::string& uid = "1000") {
    const auto opened = Open(user_session_id, uid);
    return opened ? ErrorCode::kInternal : opened.error().code;
  }

  Status LogOutByProvider(const Json& claims) {
    return PostProviderLogout(*rig_.service, idp_.Sign(claims, "logout+jwt"));
  }

  ServiceRig rig_;
  FakeProvider idp_;
  Laptop laptop_;
  std::unique_ptr<Provider> provider_;
};

TEST_F(LoginTest, SignsInAndBindsASessionToTheSubject) {
  const auto answer = SignIn();
  ASSERT_TRUE(answer.has_value()) << answer.error().detail;
  EXPECT_EQ(answer->subject(), SubjectOfProvider(idp_.issuer(), "alice"));
  EXPECT_EQ(answer->display_name(), "alice@example.com");
  EXPECT_EQ(answer->method(), "oidc");
  const LoginRow row = Live().at(0);
  EXPECT_THAT(row.groups, testing::ElementsAre("staff", "ops"));
  EXPECT_EQ(row.acr, "urn:mfa");
  EXPECT_THAT(idp_.last_form, HasSubstr("client_id=countersign"));
  EXPECT_THAT(idp_.last_form, HasSubstr("code_verifier=" + kVerifier));
  const v1::LedgerEntry entry = rig_.LastEntry();
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_LOGIN);
  EXPECT_THAT(entry.SerializeAsString(), Not(HasSubstr("alice")));
  const auto session = Open(answer->user_session_id());
  ASSERT_TRUE(session.has_value()) << session.error().detail;
  EXPECT_EQ(session->subject(), answer->subject());
  EXPECT_LE(session->expires_at_ms(), answer->expires_at_ms());
  EXPECT_EQ(rig_.LastEntry().refers_to(), answer->ledger_index() + 1);
}

TEST_F(LoginTest, ReadsVerificationFromTheLoginAndNotFromTheBinding) {
  v1::SessionBinding binding;
  binding.mutable_user()->set_user_session_id("AAAAAAAAAAAAAAAAAAAAAA");
  binding.mutable_user()->set_verification("oidc");
  EXPECT_EQ(FactsOf(binding, {}, {}).verification, "");
  EXPECT_EQ(FactsOf(binding, {}, {}).subject, "idp:unknown");
  LoginRow login;
  login.method = "oidc-device";
  login.subject = "idp:x";
  EXPECT_EQ(FactsOf(binding, {}, {}, &login).verification, "oidc-device");
  EXPECT_EQ(FactsOf(binding, {}, {}, &login).subject, "idp:x");
}

TEST_F(LoginTest, RefusesASessionWithoutALogin) {
  verifier::SessionParts parts = laptop_.NewSession();
  const auto opened = laptop_.Send(parts.Build());
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kUserNotVerified);
}

TEST_F(LoginTest, TakesASessionWithoutALoginWhereEitherWillDo) {
  rig_.config.login.verification = UserVerification::kEither;
  EXPECT_TRUE(laptop_.Send(laptop_.NewSession().Build()).has_value());
  verifier::SessionParts claims_one = laptop_.NewSession();
  claims_one.binding.mutable_user()->set_verification("oidc");
  const auto opened = laptop_.Send(claims_one.Build());
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kUserNotVerified);
}

TEST_F(LoginTest, RefusesALoginOfAnotherUserOrUnknownOrExpired) {
  const auto answer = SignIn();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(OpenCode(answer->user_session_id(), "1001"),
            ErrorCode::kLoginEnded);
  EXPECT_EQ(OpenCode(ToBase64Url(RandomBytes(16))), ErrorCode::kLoginEnded);
  EXPECT_EQ(OpenCode("'; DROP TABLE logins;--"), ErrorCode::kLoginEnded);
  rig_.clock.Advance(rig_.config.login.oidc.login_lifetime_s * 1000);
  EXPECT_EQ(OpenCode(answer->user_session_id()), ErrorCode::kLoginEnded);
}

TEST_F(LoginTest, RefusesALoginOfAnotherDevice) {
  const auto answer = SignIn();
  ASSERT_TRUE(answer.has_value());
  Laptop other(rig_);
  other.Enroll();
  verifier::SessionParts parts = other.NewSession();
  parts.binding.mutable_user()->set_user_session_id(answer->user_session_id());
  const auto opened = other.Send(parts.Build());
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kLoginEnded);
}

TEST_F(LoginTest, RejectsAnIdTokenOfAnotherClient) {
  ExpectRefused([](Json& claims) { claims["aud"] = "payroll"; });
  ExpectRefused([](Json& claims) { claims["azp"] = "payroll"; });
  ExpectRefused([](Json& claims) { claims["aud"] = {"countersign", "other"}; });
  const auto both = SignIn([](Json& claims) {
    claims["aud"] = {"countersign", "other"};
    claims["azp"] = "countersign";
  });
  EXPECT_TRUE(both.has_value());
}

TEST_F(LoginTest, RejectsAnIdTokenOfAnotherNonce) {
  ExpectRefused(
      [](Json& claims) { claims["nonce"] = ToBase64Url(RandomBytes(32)); });
  ExpectRefused([](Json& claims) { claims.erase("nonce"); });
}

TEST_F(LoginTest, RejectsAnExpiredIdToken) {
  ExpectRefused(
      [](Json& claims) { claims["exp"] = claims["iat"].get<int64_t>() - 100; },
      ErrorCode::kTokenExpired);
  ExpectRefused([](Json& claims) { claims.erase("exp"); });
}

TEST_F(LoginTest, RejectsAnIdTokenFromTheFuture) {
  ExpectRefused(
      [](Json& claims) { claims["iat"] = claims["iat"].get<int64_t>() + 120; });
  ExpectRefused(
      [](Json& claims) { claims["nbf"] = claims["iat"].get<int64_t>() + 120; });
}

TEST_F(LoginTest, RejectsAnotherIssuerInTheToken) {
  ExpectRefused([](Json& claims) { claims["iss"] = "https://evil.example"; });
}

TEST_F(LoginTest, RejectsTheHashOfAnotherAccessToken) {
  ExpectRefused(
      [](Json& claims) { claims["at_hash"] = ToBase64Url(RandomBytes(16)); });
  EXPECT_TRUE(SignIn([](Json& claims) {
                claims["at_hash"] =
                    ToBase64Url(ByteSpan(Sha256(AsBytes("opaque"))).first(16));
              }).has_value());
}

TEST_F(LoginTest, RejectsAlgNone) {
  const v1::Login login = Statement();
  const std::string claims = idp_.Claims(ToBase64Url(DigestOf(login))).dump();
  idp_.id_token = ToBase64Url(AsBytes(R"({"alg":"none"})")) + "." +
                  ToBase64Url(AsBytes(claims)) + ".AA";
  EXPECT_EQ(CodeOf(Post(Quoted(login))), ErrorCode::kJwsAlgorithm);
}

TEST_F(LoginTest, RejectsAnHmacUnderThePublicKey) {
  const v1::Login login = Statement();
  const std::string input =
      ToBase64Url(
          AsBytes(R"({"alg":"HS256","kid":")" + idp_.key().kid() + R"("})")) +
      "." +
      ToBase64Url(AsBytes(idp_.Claims(ToBase64Url(DigestOf(login))).dump()));
  const std::string pem = idp_.key().public_key().ToPem();
  idp_.id_token =
      input + "." + ToBase64Url(HmacSha256(AsBytes(pem), AsBytes(input)));
  EXPECT_EQ(CodeOf(Post(Quoted(login))), ErrorCode::kJwsAlgorithm);
}

TEST_F(LoginTest, RejectsAnUnknownKeyAndAsksForItOnlySoOften) {
  ASSERT_TRUE(SignIn().has_value());
  const auto foreign = *jose::Es256Key::Generate();
  for (int i = 0; i < 5; ++i) {
    const v1::Login login = Statement();
    idp_.id_token = *jose::SignJws(
        foreign, "JWT", idp_.Claims(ToBase64Url(DigestOf(login))).dump());
    EXPECT_EQ(CodeOf(Post(Quoted(login))), ErrorCode::kJwsUnknownKey);
  }
  EXPECT_EQ(idp_.key_requests, 1);
  rig_.clock.Advance(rig_.config.login.oidc.keys_refetch_s * 1000);
  const v1::Login login = Statement();
  idp_.id_token = *jose::SignJws(
      foreign, "JWT", idp_.Claims(ToBase64Url(DigestOf(login))).dump());
  EXPECT_EQ(CodeOf(Post(Quoted(login))), ErrorCode::kJwsUnknownKey);
  EXPECT_EQ(idp_.key_requests, 2);
}

TEST_F(LoginTest, FollowsARotatedKey) {
  ASSERT_TRUE(SignIn().has_value());
  idp_.RotateKey();
  rig_.clock.Advance(rig_.config.login.oidc.keys_refetch_s * 1000);
  const auto answer = SignIn();
  EXPECT_TRUE(answer.has_value()) << answer.error().detail;
}

TEST_F(LoginTest, RejectsMetadataOfAnotherIssuer) {
  idp_.change_metadata = [](Json& json) {
    json["issuer"] = "https://evil.example";
  };
  UseProvider();
  EXPECT_EQ(provider_->Facts().error().code, ErrorCode::kProviderInvalid);
}

TEST_F(LoginTest, RejectsMetadataWithEndpointsThatAreNotHttps) {
  for (const char* url : {"http://evil.example/token", "file:///etc/passwd",
                          "https://user@evil.example/", "", "x"}) {
    idp_.change_metadata = [url](Json& json) { json["token_endpoint"] = url; };
    UseProvider();
    EXPECT_EQ(provider_->Facts().error().code, ErrorCode::kProviderInvalid)
        << url;
  }
}

TEST_F(LoginTest, RejectsOversizeMetadataAndKeys) {
  idp_.change_metadata = [](Json& json) {
    json["x"] = std::string(70'000, 'x');
  };
  UseProvider();
  EXPECT_EQ(provider_->Facts().error().code, ErrorCode::kProviderInvalid);
  idp_.change_metadata = [](Json& json) {
    json["x"] = std::string(300'000, 'x');
  };
  UseProvider();
  EXPECT_EQ(provider_->Facts().error().code, ErrorCode::kTooLarge);
  idp_.change_metadata = [](Json&) {};
  idp_.change_keys = [](std::string& keys) {
    keys += std::string(300'000, ' ');
  };
  UseProvider();
  EXPECT_EQ(CodeOf(SignIn()), ErrorCode::kTooLarge);
}

TEST_F(LoginTest, KeepsTheLastGoodKeysWhileTheProviderIsDown) {
  ASSERT_TRUE(SignIn().has_value());
  const std::string token = idp_.Sign(idp_.LogoutClaims(), "logout+jwt");
  idp_.Stop();
  rig_.clock.Advance(60'000);
  EXPECT_TRUE(provider_->Facts().has_value());
  EXPECT_TRUE(PostProviderLogout(*rig_.service, token).has_value());
}

TEST_F(LoginTest, SaysThatTheProviderIsDownBeforeAnythingIsSpent) {
  const v1::Login login = Statement();
  const v1::LoginEvidence evidence = Quoted(login);
  UseProvider();  // One that has never seen its metadata.
  idp_.Stop();
  EXPECT_EQ(CodeOf(Post(evidence)), ErrorCode::kUpstreamUnreachable);
  const auto challenge = rig_.Look([&](StoreView& view) {
    return view.FindLogin(Bytes(16));  // The store still answers.
  });
  EXPECT_FALSE(challenge.has_value());
}

TEST_F(LoginTest, RejectsTheCodeOfAnotherDevicesStatement) {
  Laptop other(rig_);
  other.Enroll();
  const v1::Login mine = Statement();
  // The token answers what another statement asked: its nonce is that one's.
  v1::Login theirs = Statement();
  theirs.set_device_id(AsString(other.device.device_id));
  idp_.id_token = idp_.Sign(idp_.Claims(ToBase64Url(DigestOf(theirs))));
  EXPECT_EQ(CodeOf(Post(Quoted(mine))), ErrorCode::kJwsClaims);
  // And a statement that names another device is not this TPM's to make.
  EXPECT_NE(CodeOf(Post(Quoted(theirs))), ErrorCode::kInternal);
  EXPECT_TRUE(Live().empty());
}

TEST_F(LoginTest, RejectsAReusedChallenge) {
  const v1::Login login = Statement();
  idp_.id_token = idp_.Sign(idp_.Claims(ToBase64Url(DigestOf(login))));
  ASSERT_TRUE(Post(Quoted(login)).has_value());
  EXPECT_EQ(CodeOf(Post(Quoted(login))), ErrorCode::kNonceUnknown);
  EXPECT_EQ(idp_.token_requests, 1);
}

TEST_F(LoginTest, RejectsAChallengeOfASessionAndOneTooOld) {
  v1::Login login = Statement();
  v1::ChallengeRequest request;
  request.set_purpose("session");
  request.set_device_id(login.device_id());
  request.set_request_nonce(verifier::RandomString(16));
  login.set_challenge(
      IssueChallenge(*rig_.service, request, kConnection)->nonce());
  EXPECT_EQ(CodeOf(Post(Quoted(login))), ErrorCode::kNonceUnknown);
  login = Statement();
  rig_.clock.Advance(kLoginChallengeTtlS * 1000);
  EXPECT_EQ(CodeOf(Post(Quoted(login))), ErrorCode::kNonceExpired);
}

TEST_F(LoginTest, RejectsACodeThatTheProviderRefuses) {
  idp_.token_error = "invalid_grant";
  const auto answer = SignIn();
  ASSERT_EQ(CodeOf(answer), ErrorCode::kProviderRefused);
  EXPECT_EQ(answer.error().detail, "invalid_grant");
}

TEST_F(LoginTest, RejectsARedirectThatIsNotThisMachine) {
  for (const char* uri :
       {"https://evil.example/callback", "http://127.0.0.1.evil.example:1/",
        "http://localhost:1/", "http://127.0.0.1@evil.example:80/"}) {
    v1::LoginEvidence evidence = Quoted(Statement());
    evidence.set_redirect_uri(uri);
    EXPECT_EQ(CodeOf(Post(evidence)), ErrorCode::kBadRequest) << uri;
  }
  EXPECT_EQ(idp_.token_requests, 0);
}

TEST_F(LoginTest, RejectsATamperedStatementAndAnotherQuote) {
  v1::LoginEvidence evidence = Quoted(Statement());
  v1::Login other = Statement();
  other.set_os_id("0");
  evidence.mutable_statement()->set_body(
      AsString(statement::SerializeStatement(other)));
  EXPECT_EQ(CodeOf(Post(evidence)), ErrorCode::kDigestMismatch);
  evidence = Quoted(Statement());
  evidence.mutable_statement()->set_type(
      std::string(statement::TypeUri(StatementType::kSessionBinding)));
  EXPECT_EQ(CodeOf(Post(evidence)), ErrorCode::kUnknownStatementType);
}

TEST_F(LoginTest, AsksForRecentSignInsAndForAcr) {
  rig_.config.login.oidc.max_auth_age_s = 300;
  ExpectRefused(
      [](Json& claims) {
        claims["auth_time"] = claims["iat"].get<int64_t>() - 400;
      },
      ErrorCode::kUserNotVerified);
  ExpectRefused([](Json& claims) { claims.erase("auth_time"); },
                ErrorCode::kUserNotVerified);
  rig_.config.login.oidc.acr_values = {"urn:phishing-resistant"};
  ExpectRefused([](Json&) {}, ErrorCode::kUserNotVerified);
  EXPECT_TRUE(SignIn([](Json& claims) {
                claims["acr"] = "urn:phishing-resistant";
              }).has_value());
}

TEST_F(LoginTest, KeepsHostileClaimsAsText) {
  const std::string hostile = "x'); DROP TABLE logins;--";
  const auto answer = SignIn([&](Json& claims) {
    claims["sub"] = hostile;
    claims["sid"] = hostile;
    claims["acr"] = hostile;
    claims["preferred_username"] = "a\n2026 ERROR \x1b[31mroot";
    claims["groups"] = {hostile, "two\nlines"};
  });
  ASSERT_TRUE(answer.has_value()) << answer.error().detail;
  EXPECT_THAT(answer->display_name(), Not(HasSubstr("\n")));
  EXPECT_THAT(answer->display_name(), Not(HasSubstr("\x1b")));
  EXPECT_EQ(Live().at(0).groups, std::vector<std::string>{hostile});
  EXPECT_EQ(Live().at(0).acr, hostile);
  Json logout = idp_.LogoutClaims();
  logout["sid"] = hostile;
  EXPECT_TRUE(LogOutByProvider(logout).has_value());
  EXPECT_TRUE(Live().empty());
}

TEST_F(LoginTest, RejectsClaimsThatAreNoText) {
  for (const char* name : {"sub", "sid", "acr"}) {
    ExpectRefused([name](Json& claims) { claims[name] = 7; });
    ExpectRefused([name](Json& claims) { claims[name] = "two\nlines"; });
    ExpectRefused(
        [name](Json& claims) { claims[name] = std::string(300, 'x'); });
  }
}

TEST_F(LoginTest, EndsTheLoginAndSessionsOfTheUserBefore) {
  const auto first = SignIn();
  ASSERT_TRUE(Open(first->user_session_id()).has_value());
  const auto again = SignIn();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(Live().size(), 2U) << "the same user's sessions go on";
  ASSERT_TRUE(SignIn([](Json& claims) { claims["sub"] = "bob"; }).has_value());
  ASSERT_EQ(Live().size(), 1U);
  EXPECT_EQ(Live().at(0).subject, SubjectOfProvider(idp_.issuer(), "bob"));
  EXPECT_EQ(OpenCode(first->user_session_id()), ErrorCode::kLoginEnded);
}

TEST_F(LoginTest, LogsOutByAQuotedStatement) {
  const auto answer = SignIn();
  const auto session = Open(answer->user_session_id());
  ASSERT_TRUE(session.has_value());
  v1::Login other = Statement("logout");
  other.set_user_session_id(answer->user_session_id());
  other.set_os_id("1001");
  EXPECT_EQ(CodeOf(Post(Quoted(other))), ErrorCode::kLoginEnded);
  v1::Login logout = Statement("logout");
  logout.set_user_session_id(answer->user_session_id());
  const size_t before = rig_.LedgerSize();
  EXPECT_TRUE(Post(Quoted(logout)).has_value());
  EXPECT_TRUE(Live().empty());
  EXPECT_EQ(rig_.LedgerSize(), before + 2) << "the login and its session";
  const auto row = rig_.Look([&](StoreView& view) {
    return view.FindSession(AsBytes(session->lease().session_id()));
  });
  EXPECT_EQ(row->end_reason, "logged_out");
}

TEST_F(LoginTest, EndsWhatTheProviderLogsOut) {
  const auto answer = SignIn();
  const auto session = Open(answer->user_session_id());
  ASSERT_TRUE(session.has_value());
  Json other = idp_.LogoutClaims();
  other["sid"] = "session-2";
  EXPECT_TRUE(LogOutByProvider(other).has_value());
  EXPECT_EQ(Live().size(), 1U);
  EXPECT_TRUE(LogOutByProvider(idp_.LogoutClaims()).has_value());
  EXPECT_TRUE(Live().empty());
  const auto row = rig_.Look([&](StoreView& view) {
    return view.FindSession(AsBytes(session->lease().session_id()));
  });
  EXPECT_EQ(row->end_reason, "provider_logout");
  // By subject alone: all of that user's.
  ASSERT_TRUE(SignIn().has_value());
  Json all = idp_.LogoutClaims();
  all.erase("sid");
  all["sub"] = "alice";
  EXPECT_TRUE(LogOutByProvider(all).has_value());
  EXPECT_TRUE(Live().empty());
}

TEST_F(LoginTest, EndsLoginsWhoseIdTokenNamedNoSession) {
  ASSERT_TRUE(SignIn([](Json& claims) { claims.erase("sid"); }).has_value());
  Json claims = idp_.LogoutClaims();
  claims["sub"] = "alice";
  EXPECT_TRUE(LogOutByProvider(claims).has_value());
  EXPECT_TRUE(Live().empty());
}

TEST_F(LoginTest, LogoutEndsWhatAnEarlierSignInLeftOpen) {
  const auto first = SignIn();
  ASSERT_TRUE(Open(first->user_session_id()).has_value());
  const auto second = SignIn();
  EXPECT_EQ(Live().size(), 2U);
  v1::Login logout = Statement("logout");
  logout.set_user_session_id(second->user_session_id());
  EXPECT_TRUE(Post(Quoted(logout)).has_value());
  EXPECT_TRUE(Live().empty());
}

TEST_F(LoginTest, RejectsLogoutTokensThatAreNone) {
  ASSERT_TRUE(SignIn().has_value());
  const auto refused = [&](const std::function<void(Json&)>& change,
                           ErrorCode expected = ErrorCode::kJwsClaims) {
    Json claims = idp_.LogoutClaims();
    change(claims);
    const Status status = LogOutByProvider(claims);
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, expected) << status.error().detail;
  };
  refused([](Json& claims) { claims["nonce"] = "x"; });
  refused([](Json& claims) { claims["aud"] = "payroll"; });
  refused([](Json& claims) { claims["iss"] = "https://evil.example"; });
  refused([](Json& claims) { claims.erase("events"); });
  refused([](Json& claims) { claims["events"] = {{"other", Json::object()}}; });
  refused([](Json& claims) { claims.erase("jti"); });
  refused([](Json& claims) { claims.erase("sid"); });
  refused(
      [](Json& claims) { claims["iat"] = claims["iat"].get<int64_t>() + 120; });
  refused(
      [](Json& claims) { claims["exp"] = claims["iat"].get<int64_t>() - 100; },
      ErrorCode::kTokenExpired);
  // An ID token is no logout token.
  EXPECT_FALSE(PostProviderLogout(*rig_.service, idp_.Sign(idp_.Claims("x")))
                   .has_value());
  EXPECT_EQ(Live().size(), 1U);
}

TEST_F(LoginTest, RejectsAReplayedLogoutToken) {
  const Json claims = idp_.LogoutClaims();
  ASSERT_TRUE(LogOutByProvider(claims).has_value());
  ASSERT_TRUE(SignIn().has_value());
  const Status again = LogOutByProvider(claims);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kTokenUsed);
  EXPECT_EQ(Live().size(), 1U);
}

TEST_F(LoginTest, SignsInWithADeviceCode) {
  idp_.token_error = "authorization_pending";
  const auto begun = Post(Quoted(Statement("device")));
  ASSERT_TRUE(begun.has_value()) << begun.error().detail;
  EXPECT_EQ(begun->prompt().user_code(), "WDJB-MJHT");
  EXPECT_THAT(begun->SerializeAsString(), Not(HasSubstr("secret")));
  v1::LoginPollRequest poll;
  poll.set_device_id(AsString(laptop_.device.device_id));
  poll.set_pending_id(begun->prompt().pending_id());
  // Not before the interval is over.
  EXPECT_TRUE(PollLogin(*rig_.service, poll)->has_prompt());
  EXPECT_EQ(idp_.token_requests, 0);
  rig_.clock.Advance(5'000);
  EXPECT_TRUE(PollLogin(*rig_.service, poll)->has_prompt());
  EXPECT_EQ(idp_.token_requests, 1);
  idp_.token_error = "slow_down";
  rig_.clock.Advance(5'000);
  EXPECT_EQ(PollLogin(*rig_.service, poll)->prompt().interval_s(), 10U);
  idp_.token_error.clear();
  Json claims = idp_.Claims("x");
  claims.erase("nonce");
  claims["iat"] = rig_.clock.NowMs() / 1000;
  idp_.id_token = idp_.Sign(claims);
  rig_.clock.Advance(10'000);
  const auto done = PollLogin(*rig_.service, poll);
  ASSERT_TRUE(done.has_value()) << done.error().detail;
  EXPECT_EQ(done->method(), "oidc-device");
  // The answer was lost: it is the same again.
  const auto again = PollLogin(*rig_.service, poll);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->user_session_id(), done->user_session_id());
  EXPECT_EQ(Live().size(), 1U);
}

TEST_F(LoginTest, RejectsPollsOfAnotherDeviceAndAfterTheEnd) {
  const auto begun = Post(Quoted(Statement("device")));
  ASSERT_TRUE(begun.has_value());
  v1::LoginPollRequest poll;
  poll.set_device_id(verifier::RandomString(16));
  poll.set_pending_id(begun->prompt().pending_id());
  EXPECT_EQ(CodeOf(PollLogin(*rig_.service, poll)), ErrorCode::kLoginUnknown);
  poll.set_device_id(AsString(laptop_.device.device_id));
  rig_.clock.Advance(600'000);
  EXPECT_EQ(CodeOf(PollLogin(*rig_.service, poll)), ErrorCode::kLoginUnknown);
}

TEST_F(LoginTest, SaysThatThereIsNoProvider) {
  v1::LoginEvidence evidence = Quoted(Statement());
  rig_.service->provider = nullptr;
  EXPECT_EQ(CodeOf(Post(evidence)), ErrorCode::kNoProvider);
  EXPECT_EQ(PostProviderLogout(*rig_.service, "x").error().code,
            ErrorCode::kNoProvider);
}

}  // namespace
}  // namespace countersign::authz
