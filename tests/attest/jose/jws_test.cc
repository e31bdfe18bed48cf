#include "attest/jose/jws.h"

#include <gtest/gtest.h>

#include <string>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"

namespace countersign::jose {
namespace {

constexpr const char* kClaims = R"({"iss":"https://authz.example","n":1})";

std::string Part(std::string_view text) { return ToBase64Url(AsBytes(text)); }

class JwsTest : public testing::Test {
 protected:
  JwsTest() { keys_.Add(key_.public_key()); }

  // A token with any header at all, signed as if it were a good one.
  std::string Forge(const std::string& header,
                    std::string_view claims = kClaims) const {
    const std::string input = Part(header) + "." + Part(claims);
    return input + "." +
           ToBase64Url(key_.SignDigest(Sha256(AsBytes(input))).value());
  }
  std::string Header(const std::string& extra = "",
                     const std::string& alg = "ES256") const {
    return R"({"alg":")" + alg + R"(","typ":"at+jwt","kid":")" + key_.kid() +
           R"(")" + extra + "}";
  }
  ErrorCode CodeOf(const std::string& token) const {
    const auto verified = VerifyJws(token, kTypGrant, keys_);
    return verified ? ErrorCode{} : verified.error().code;
  }
  ErrorCode OwnKeyCode(const std::string& token) const {
    const auto verified = VerifyJwsUnderItsOwnKey(token, kTypGrant);
    return verified ? ErrorCode{} : verified.error().code;
  }

  Es256Key key_ = Es256Key::Generate().value();
  KeySet keys_;
};

TEST_F(JwsTest, ReturnsTheExactClaimsThatWereSigned) {
  const std::string claims = "{ \"b\":1,\n \"a\" : \"\\u00e9\" }";
  const auto token = SignJws(key_, kTypGrant, claims);
  ASSERT_TRUE(token);
  const auto verified = VerifyJws(*token, kTypGrant, keys_);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->claims_json, claims);
  EXPECT_EQ(verified->kid, key_.kid());
  EXPECT_EQ(verified->header_json, Header());
}

TEST_F(JwsTest, AcceptsAForeignHeaderThatSaysTheSame) {
  EXPECT_EQ(CodeOf(Forge(Header(R"(,"cty":"x")"))), ErrorCode{});
}

TEST_F(JwsTest, RejectsATokenLongerThanAllowed) {
  const std::string token = Forge(Header());
  EXPECT_TRUE(VerifyJws(token, kTypGrant, keys_, token.size()));
  const auto refused = VerifyJws(token, kTypGrant, keys_, token.size() - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
}

TEST_F(JwsTest, RejectsTextThatIsNotThreeParts) {
  const std::string token = Forge(Header());
  const std::string unsigned_part = token.substr(0, token.rfind('.'));
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("..."),
        unsigned_part, unsigned_part + ".", token + ".", token + "." + token,
        "." + token, token.substr(token.find('.'))}) {
    EXPECT_EQ(CodeOf(text), ErrorCode::kJwsMalformed) << text;
  }
}

TEST_F(JwsTest, RejectsBase64UrlThatIsNotStrict) {
  const std::string token = Forge(Header());
  for (const std::string& text :
       {token + "=", token + "\n", " " + token, token + "+", token + "/",
        "%" + token, token.substr(0, token.size() - 1)}) {
    EXPECT_NE(CodeOf(text), ErrorCode{}) << text;
  }
  EXPECT_EQ(CodeOf(token + "="), ErrorCode::kJwsMalformed);
  // Two bits of the last character are unused: four spellings of one value.
  std::string other = token;
  other.back() = static_cast<char>(other.back() + 1);
  EXPECT_EQ(CodeOf(other), ErrorCode::kJwsMalformed);
}

TEST_F(JwsTest, RejectsHeadersThatAreNotOneStrictJsonObject) {  // A14, A32
  for (const std::string& header :
       {std::string("null"), std::string("[]"), std::string("{"),
        Header() + Header(), "\xef\xbb\xbf" + Header(),
        Header(R"(,"alg":"ES256")"), Header(R"(,"\u0061lg":"none")")}) {
    EXPECT_EQ(CodeOf(Forge(header)), ErrorCode::kJwsMalformed) << header;
  }
}

// A34
TEST_F(JwsTest, RejectsEveryAlgorithmButEs256) {
  for (const char* alg : {"none", "None", "NONE", "", "HS256", "RS256", "ES384",
                          "ES512", "PS256", "EdDSA", "es256", "ES256 "}) {
    EXPECT_EQ(CodeOf(Forge(Header("", alg))), ErrorCode::kJwsAlgorithm) << alg;
  }
  EXPECT_EQ(CodeOf(Forge(R"({"typ":"at+jwt"})")), ErrorCode::kJwsAlgorithm);
  EXPECT_EQ(CodeOf(Forge(R"({"alg":["ES256"]})")), ErrorCode::kJwsAlgorithm);
  EXPECT_EQ(CodeOf(Part(Header("", "none")) + "." + Part(kClaims) + "."),
            ErrorCode::kJwsMalformed);
}

// A34: an HMAC keyed with what everybody knows.
TEST_F(JwsTest, RejectsHmacUnderThePublicKey) {
  const std::string input = Part(Header("", "HS256")) + "." + Part(kClaims);
  for (const std::string& secret :
       {key_.public_key().ToPem(), key_.public_key().ToJwkJson()}) {
    const Sha256Digest mac = HmacSha256(AsBytes(secret), AsBytes(input));
    EXPECT_EQ(CodeOf(input + "." + ToBase64Url(mac)), ErrorCode::kJwsAlgorithm);
  }
}

// A34, A42: a token does not say how or with what it is checked.
TEST_F(JwsTest, RejectsHeadersThatBringAlongKeysOrRules) {
  for (const std::string& extra :
       {std::string(R"(,"crit":["exp"])"), std::string(R"(,"b64":false)"),
        std::string(R"(,"jku":"http://127.0.0.1/jwks")"),
        std::string(R"(,"x5u":"file:///etc/passwd")"),
        std::string(R"(,"x5c":["AAAA"])"),
        R"(,"jwk":)" + key_.public_key().ToJwkJson()}) {
    EXPECT_EQ(CodeOf(Forge(Header(extra))), ErrorCode::kJwsAlgorithm) << extra;
  }
}

TEST_F(JwsTest, RejectsAnotherTyp) {
  for (std::string_view typ :
       {kTypReceipt, kTypAnswer, kTypDpop, kTypClientAttestation,
        std::string_view("AT+JWT"), std::string_view("application/at+jwt"),
        std::string_view("JWT")}) {
    EXPECT_EQ(CodeOf(SignJws(key_, typ, kClaims).value()), ErrorCode::kJwsType)
        << typ;
  }
  EXPECT_EQ(CodeOf(Forge(R"({"alg":"ES256"})")), ErrorCode::kJwsType);
}

// A34
TEST_F(JwsTest, RejectsAKidThatNamesNoTrustedKey) {
  const auto stranger = Es256Key::Generate().value();
  EXPECT_EQ(CodeOf(SignJws(stranger, kTypGrant, kClaims).value()),
            ErrorCode::kJwsUnknownKey);
  for (const char* kid : {"", "../../etc/passwd", "' OR 1=1 --", "*",
                          "http://127.0.0.1/key", "%2e%2e%2fkey"}) {
    EXPECT_EQ(CodeOf(Forge(R"({"alg":"ES256","typ":"at+jwt","kid":")" +
                           std::string(kid) + R"("})")),
              ErrorCode::kJwsUnknownKey)
        << kid;
  }
  EXPECT_EQ(CodeOf(Forge(R"({"alg":"ES256","typ":"at+jwt"})")),
            ErrorCode::kJwsUnknownKey);
  EXPECT_EQ(CodeOf(Forge(R"({"alg":"ES256","typ":"at+jwt","kid":["x"]})")),
            ErrorCode::kJwsUnknownKey);
}

TEST_F(JwsTest, RejectsASignatureByAnotherTrustedKey) {
  const auto other = Es256Key::Generate().value();
  keys_.Add(other.public_key());
  const std::string input = Part(Header()) + "." + Part(kClaims);
  const auto signature = other.SignDigest(Sha256(AsBytes(input))).value();
  EXPECT_EQ(CodeOf(input + "." + ToBase64Url(signature)),
            ErrorCode::kBadSignature);
}

TEST_F(JwsTest, RejectsChangedClaimsOrHeader) {
  const std::string token = Forge(Header());
  const std::string signature = token.substr(token.rfind('.'));
  EXPECT_EQ(CodeOf(Part(Header()) + "." + Part(R"({"n":2})") + signature),
            ErrorCode::kBadSignature);
  EXPECT_EQ(CodeOf(Part(Header(" ")) + "." + Part(kClaims) + signature),
            ErrorCode::kBadSignature);
}

TEST_F(JwsTest, RejectsASignatureThatIsNot64Bytes) {
  const std::string input = Part(Header()) + "." + Part(kClaims);
  for (size_t size : {1, 63, 65, 70, 128}) {
    EXPECT_EQ(CodeOf(input + "." + ToBase64Url(Bytes(size, 1))),
              ErrorCode::kBadSignature);
  }
}

TEST_F(JwsTest, RejectsClaimsThatAreNotOneStrictJsonObject) {  // A14, A32
  for (const char* claims : {"null", "[]", "1", "{", "{}{}", R"({"a":1,"a":2})",
                             "\"text\"", "{\"a\":\"\xff\"}"}) {
    EXPECT_EQ(CodeOf(Forge(Header(), claims)), ErrorCode::kJwsMalformed)
        << claims;
  }
}

TEST_F(JwsTest, VerifiesUnderTheKeyThatTheTokenIntroduces) {
  const std::string token =
      SignJws(key_, kTypGrant, kClaims, KeyHeader::kJwk).value();
  const auto verified = VerifyJwsUnderItsOwnKey(token, kTypGrant);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->kid, key_.kid());
}

TEST_F(JwsTest, RejectsAnIntroducedKeyThatIsNoneOrNotPublicOrNotTheSigner) {
  EXPECT_EQ(OwnKeyCode(Forge(Header())), ErrorCode::kJwsMalformed);
  std::string with_private = key_.public_key().ToJwkJson();
  with_private.back() = ',';
  with_private += R"("d":"AAAA"})";
  EXPECT_EQ(OwnKeyCode(Forge(Header(R"(,"jwk":)" + with_private))),
            ErrorCode::kJwsMalformed);
  EXPECT_EQ(OwnKeyCode(Forge(Header(R"(,"jwk":{"kty":"oct","k":"AA"})"))),
            ErrorCode::kJwsAlgorithm);
  const auto other = Es256Key::Generate().value();
  EXPECT_EQ(
      OwnKeyCode(Forge(Header(R"(,"jwk":)" + other.public_key().ToJwkJson()))),
      ErrorCode::kBadSignature);
  EXPECT_EQ(OwnKeyCode(Forge(Header(R"(,"jku":"x","jwk":)" +
                                    key_.public_key().ToJwkJson()))),
            ErrorCode::kJwsAlgorithm);
}

// RFC 7523 leaves typ and kid open; nothing else is.
TEST_F(JwsTest, VerifiesAClientsAssertion) {
  const std::string kid = R"(,"kid":")" + key_.kid() + R"(")";
  const auto code = [&](const std::string& rest) {
    const auto verified =
        VerifyClientAssertion(Forge(R"({"alg":"ES256")" + rest + "}"), keys_);
    return verified ? ErrorCode{} : verified.error().code;
  };
  for (const std::string& typ :
       {std::string(), std::string(R"(,"typ":"JWT")"),
        std::string(R"(,"typ":"client-authentication+jwt")")}) {
    EXPECT_EQ(code(typ + kid), ErrorCode{}) << typ;
    EXPECT_EQ(code(typ), ErrorCode{}) << typ;  // There is one key.
  }
  EXPECT_EQ(code(R"(,"typ":"at+jwt")" + kid), ErrorCode::kJwsType);
  EXPECT_EQ(code(R"(,"typ":1)" + kid), ErrorCode::kJwsType);
  EXPECT_EQ(code(R"(,"kid":"other")"), ErrorCode::kJwsUnknownKey);
  EXPECT_EQ(code(R"(,"crit":[])" + kid), ErrorCode::kJwsAlgorithm);
  const std::string none = Part(R"({"alg":"none"})") + "." + Part(kClaims);
  EXPECT_FALSE(VerifyClientAssertion(none + ".AA", keys_).has_value());

  keys_.Add(Es256Key::Generate().value().public_key());
  EXPECT_EQ(code(""), ErrorCode::kJwsUnknownKey);  // Which of the two?
  EXPECT_EQ(code(kid), ErrorCode{});
}

}  // namespace
}  // namespace countersign::jose
