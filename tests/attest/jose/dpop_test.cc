#include "attest/jose/dpop.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"
#include "attest/jose/jws.h"

namespace countersign::jose {
namespace {

constexpr int64_t kNow = 1'900'000'000;
constexpr const char* kUri = "https://files.example/notes/1";

class DpopTest : public testing::Test {
 protected:
  ExpectedDpop Expected() const {
    ExpectedDpop expected;
    expected.method = "GET";
    expected.uri = kUri;
    expected.access_token = "token";
    expected.jkt = key_.kid();
    expected.now_s = kNow;
    return expected;
  }
  std::string Proof(const DpopRequest& request = {"GET", kUri, "token",
                                                  ""}) const {
    return CreateDpopProof(key_, request, kNow, "jti-1").value();
  }
  // A proof with any claims at all, properly signed.
  std::string Forge(const nlohmann::json& claims) const {
    return SignJws(key_, kTypDpop, claims.dump(), KeyHeader::kJwk).value();
  }
  nlohmann::json GoodClaims() const {
    return {{"jti", "jti-1"},
            {"htm", "GET"},
            {"htu", kUri},
            {"iat", kNow},
            {"ath", AccessTokenHash("token")}};
  }
  ErrorCode CodeOf(const std::string& proof) const {
    return CodeOf(proof, Expected());
  }
  ErrorCode CodeOf(const std::string& proof,
                   const ExpectedDpop& expected) const {
    const auto verified = VerifyDpopProof(proof, expected);
    return verified ? ErrorCode{} : verified.error().code;
  }

  Es256Key key_ = Es256Key::Generate().value();
};

TEST_F(DpopTest, VerifiesTheProofItMade) {
  const auto verified = VerifyDpopProof(Proof(), Expected());
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->jti, "jti-1");
  EXPECT_EQ(verified->jkt, key_.kid());
  EXPECT_EQ(verified->issued_at_s, kNow);
}

// RFC 9449 §4.1, figure 1, its header and payload decoded in figure 2.
TEST_F(DpopTest, VerifiesTheExampleOfRfc9449) {
  const std::string proof =
      "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik"
      "VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR"
      "nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE"
      "QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj"
      "oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia"
      "WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg"
      "4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
  ExpectedDpop expected;
  expected.method = "POST";
  expected.uri = "https://server.example.com/token";
  expected.now_s = 1562262616;
  const auto verified = VerifyDpopProof(proof, expected);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->jti, "-BwC3ESc6acc2lTc");
  EXPECT_EQ(verified->jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

// RFC 9449 §7.1, figures 12 and 13.
TEST_F(DpopTest, ReproducesTheTokenHashOfRfc9449) {
  EXPECT_EQ(AccessTokenHash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
            "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

TEST_F(DpopTest, LeavesQueryAndFragmentOutOfTheProof) {
  const std::string proof =
      Proof({"GET", std::string(kUri) + "?q=1#f", "token", ""});
  EXPECT_EQ(CodeOf(proof), ErrorCode{});
  ExpectedDpop expected = Expected();
  expected.uri = std::string("HTTPS://FILES.example:443") + "/notes/1?other";
  EXPECT_EQ(CodeOf(proof, expected), ErrorCode{});
}

TEST_F(DpopTest, CarriesTheServersNonce) {
  ExpectedDpop expected = Expected();
  expected.nonce = "n-1";
  EXPECT_EQ(CodeOf(Proof({"GET", kUri, "token", "n-1"}), expected),
            ErrorCode{});
  EXPECT_EQ(CodeOf(Proof({"GET", kUri, "token", "n-2"}), expected),
            ErrorCode::kDpopInvalid);
  EXPECT_EQ(CodeOf(Proof(), expected), ErrorCode::kDpopInvalid);
}

TEST_F(DpopTest, WorksWithoutATokenWhereNoneIsPresented) {
  ExpectedDpop expected = Expected();
  expected.access_token.clear();
  expected.jkt.clear();
  EXPECT_EQ(CodeOf(Proof({"GET", kUri, "", ""}), expected), ErrorCode{});
  EXPECT_EQ(CodeOf(Proof(), expected), ErrorCode::kDpopInvalid);
}

TEST_F(DpopTest, RefusesToSignForWhatIsNotAnHttpRequest) {
  const auto refused = [this](const DpopRequest& request) {
    const auto proof = CreateDpopProof(key_, request, kNow, "j");
    return !proof && proof.error().code == ErrorCode::kBadRequest;
  };
  EXPECT_TRUE(refused({"", kUri, "", ""}));
  EXPECT_TRUE(refused({"GET\r\nX: y", kUri, "", ""}));
  EXPECT_TRUE(refused({"GET", "", "", ""}));
  EXPECT_TRUE(refused({"GET", "/relative", "", ""}));
  EXPECT_TRUE(refused({"GET", "file:///etc/passwd", "", ""}));
  EXPECT_TRUE(refused({"GET", "https://u:p@files.example/", "", ""}));
  EXPECT_TRUE(refused({"GET", kUri, "", "\xff"}));
}

TEST_F(DpopTest, RejectsAProofOfAnotherType) {
  EXPECT_EQ(
      CodeOf(
          SignJws(key_, "jwt", GoodClaims().dump(), KeyHeader::kJwk).value()),
      ErrorCode::kJwsType);
  EXPECT_EQ(CodeOf(SignJws(key_, kTypDpop, GoodClaims().dump()).value()),
            ErrorCode::kJwsMalformed);
}

TEST_F(DpopTest, RejectsAProofLongerThanAllowed) {
  nlohmann::json claims = GoodClaims();
  claims["x"] = std::string(kMaxDpopSize, 'x');
  EXPECT_EQ(CodeOf(Forge(claims)), ErrorCode::kTooLarge);
}

TEST_F(DpopTest, RejectsMissingClaims) {
  EXPECT_EQ(CodeOf(Forge(GoodClaims())), ErrorCode{});
  for (const char* name : {"jti", "htm", "htu", "iat", "ath"}) {
    nlohmann::json claims = GoodClaims();
    claims.erase(name);
    EXPECT_EQ(CodeOf(Forge(claims)), ErrorCode::kDpopInvalid) << name;
    claims[name] = nullptr;
    EXPECT_EQ(CodeOf(Forge(claims)), ErrorCode::kDpopInvalid) << name;
  }
}

TEST_F(DpopTest, RejectsAJtiThatIsNotAShortText) {
  for (const std::string& jti :
       {std::string(), std::string("a\nb"), std::string(129, 'j')}) {
    nlohmann::json claims = GoodClaims();
    claims["jti"] = jti;
    EXPECT_EQ(CodeOf(Forge(claims)), ErrorCode::kDpopInvalid);
  }
}

TEST_F(DpopTest, RejectsAnotherMethod) {
  EXPECT_EQ(CodeOf(Proof({"POST", kUri, "token", ""})),
            ErrorCode::kDpopInvalid);
  EXPECT_EQ(CodeOf(Proof({"get", kUri, "token", ""})), ErrorCode::kDpopInvalid);
}

TEST_F(DpopTest, RejectsAnotherUri) {
  for (const char* uri :
       {"https://files.example/notes/2", "http://files.example/notes/1",
        "https://evil.example/notes/1", "https://files.example:444/notes/1"}) {
    EXPECT_EQ(CodeOf(Proof({"GET", uri, "token", ""})), ErrorCode::kDpopInvalid)
        << uri;
  }
  nlohmann::json claims = GoodClaims();
  claims["htu"] = "not a uri";
  EXPECT_EQ(CodeOf(Forge(claims)), ErrorCode::kDpopInvalid);
}

TEST_F(DpopTest, RejectsAProofOutsideItsTime) {
  ExpectedDpop expected = Expected();
  expected.now_s = kNow + expected.max_age_s;
  EXPECT_EQ(CodeOf(Proof(), expected), ErrorCode{});
  expected.now_s += 1;
  EXPECT_EQ(CodeOf(Proof(), expected), ErrorCode::kDpopInvalid);
  expected.now_s = kNow - expected.max_ahead_s;
  EXPECT_EQ(CodeOf(Proof(), expected), ErrorCode{});
  expected.now_s -= 1;
  EXPECT_EQ(CodeOf(Proof(), expected), ErrorCode::kDpopInvalid);
}

TEST_F(DpopTest, RejectsTheHashOfAnotherToken) {
  EXPECT_EQ(CodeOf(Proof({"GET", kUri, "other", ""})), ErrorCode::kDpopInvalid);
}

TEST_F(DpopTest, RejectsAnotherKeyThanTheTokensOwn) {
  const auto thief = Es256Key::Generate().value();
  const auto proof =
      CreateDpopProof(thief, {"GET", kUri, "token", ""}, kNow, "j").value();
  EXPECT_EQ(CodeOf(proof), ErrorCode::kDpopInvalid);
  ExpectedDpop expected = Expected();
  expected.jkt.clear();  // A token that is bound to no key is refused as well.
  EXPECT_EQ(CodeOf(proof, expected), ErrorCode::kDpopInvalid);
}

}  // namespace
}  // namespace countersign::jose
