#include "attest/jose/foreign_jws.h"

#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include <array>
#include <nlohmann/json.hpp>

#include "attest/base/digest.h"
#include "attest/jose/es256.h"
#include "attest/jose/jws.h"

namespace countersign::jose {
namespace {

using Json = nlohmann::json;
using enum ForeignAlgorithm;

constexpr std::array kAll{kRs256, kPs256, kEs256, kEdDsa};
constexpr std::array<std::string_view, 1> kTypes{"JWT"};

// A private key of any kind, as a provider has it.
class Signer {
 public:
  explicit Signer(const char* kind, size_t bits = 2048)
      : key_(std::string_view(kind) == "RSA"
                 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits)
                 : EVP_PKEY_Q_keygen(nullptr, nullptr, kind)) {}

  [[nodiscard]] Json Jwk() const {
    if (EVP_PKEY_is_a(key_.get(), "RSA") == 1) {
      return {
          {"kty", "RSA"}, {"kid", "k"}, {"n", Number("n")}, {"e", Number("e")}};
    }
    std::array<uint8_t, 32> x{};
    size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key_.get(), x.data(), &size);
    return {{"kty", "OKP"},
            {"crv", "Ed25519"},
            {"kid", "k"},
            {"x", ToBase64Url(x)}};
  }
  [[nodiscard]] std::string Sign(std::string_view alg,
                                 const Json& extra = Json::object(),
                                 std::string_view claims = "{}") const {
    Json header = {{"alg", alg}, {"kid", "k"}};
    header.update(extra);
    if (header["kid"].is_null()) header.erase("kid");
    std::string token = ToBase64Url(AsBytes(header.dump())) + "." +
                        ToBase64Url(AsBytes(claims));
    const EvpMdCtxPtr context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;
    EVP_DigestSignInit(context.get(), &options,
                       alg == "EdDSA" ? nullptr : EVP_sha256(), nullptr,
                       key_.get());
    if (alg == "PS256") {
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    Bytes signature(1024);
    size_t size = signature.size();
    EXPECT_EQ(EVP_DigestSign(context.get(), signature.data(), &size,
                             AsBytes(token).data(), token.size()),
              1);
    signature.resize(size);
    return token + "." + ToBase64Url(signature);
  }

 private:
  std::string Number(const char* name) const {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &number);
    const BignumPtr owned(number);
    Bytes bytes(static_cast<size_t>(BN_num_bytes(number)));
    BN_bn2bin(number, bytes.data());
    return ToBase64Url(bytes);
  }
  EvpPkeyPtr key_;
};

const Signer& Rsa() {
  static const Signer signer("RSA");
  return signer;
}

ForeignKeySet SetOf(const std::vector<Json>& keys) {
  auto set = ForeignKeySet::FromJson(Json{{"keys", keys}}.dump());
  EXPECT_TRUE(set.has_value());
  return set ? *std::move(set) : ForeignKeySet();
}

ErrorCode CodeOf(const std::string& token, const ForeignKeySet& keys,
                 std::span<const ForeignAlgorithm> allowed = kAll) {
  const auto verified = VerifyForeignJws(token, kTypes, allowed, keys);
  return verified ? ErrorCode::kInternal : verified.error().code;
}
constexpr ErrorCode kGood = ErrorCode::kInternal;

TEST(ForeignJwsTest, VerifiesEveryAlgorithm) {
  const ForeignKeySet rsa = SetOf({Rsa().Jwk()});
  EXPECT_EQ(CodeOf(Rsa().Sign("RS256"), rsa), kGood);
  EXPECT_EQ(CodeOf(Rsa().Sign("PS256"), rsa), kGood);
  const Signer ed("ED25519");
  EXPECT_EQ(CodeOf(ed.Sign("EdDSA"), SetOf({ed.Jwk()})), kGood);
  const auto ec = *Es256Key::Generate();
  Json jwk = Json::parse(ec.public_key().ToJwkJson());
  jwk["kid"] = ec.kid();
  EXPECT_EQ(CodeOf(*SignJws(ec, "JWT", "{}"), SetOf({jwk})), kGood);
}

TEST(ForeignJwsTest, RejectsAnAlgorithmThatIsNotAllowed) {
  const ForeignKeySet keys = SetOf({Rsa().Jwk()});
  const std::array only{kPs256};
  EXPECT_EQ(CodeOf(Rsa().Sign("RS256"), keys, only), ErrorCode::kJwsAlgorithm);
  EXPECT_EQ(CodeOf(Rsa().Sign("PS256"), keys, only), kGood);
}

TEST(ForeignJwsTest, RejectsAKeyForAnotherAlgorithm) {
  Json jwk = Rsa().Jwk();
  jwk["alg"] = "RS256";
  EXPECT_EQ(CodeOf(Rsa().Sign("PS256"), SetOf({jwk})),
            ErrorCode::kJwsUnknownKey);
  // A signature of one scheme under the name of the other.
  std::string swapped = Rsa().Sign("PS256");
  const std::string header =
      ToBase64Url(AsBytes(Json{{"alg", "RS256"}, {"kid", "k"}}.dump()));
  swapped.replace(0, swapped.find('.'), header);
  EXPECT_EQ(CodeOf(swapped, SetOf({jwk})), ErrorCode::kBadSignature);
}

TEST(ForeignJwsTest, RejectsAChangedPayload) {
  std::string token = Rsa().Sign("RS256");
  const size_t dot = token.find('.');
  token.replace(dot + 1, 3, ToBase64Url(AsBytes("[]")));
  EXPECT_EQ(CodeOf(token, SetOf({Rsa().Jwk()})), ErrorCode::kBadSignature);
}

TEST(ForeignJwsTest, RejectsHeadersThatChooseTheirKey) {
  const ForeignKeySet keys = SetOf({Rsa().Jwk()});
  for (const char* name : {"jku", "x5u", "x5c", "crit", "b64", "jwk"}) {
    EXPECT_EQ(CodeOf(Rsa().Sign("RS256", {{name, "x"}}), keys),
              ErrorCode::kJwsAlgorithm)
        << name;
  }
  EXPECT_EQ(CodeOf(Rsa().Sign("RS256", {{"typ", "at+jwt"}}), keys),
            ErrorCode::kJwsType);
  EXPECT_EQ(CodeOf(Rsa().Sign("RS256", {{"kid", 7}}), keys),
            ErrorCode::kJwsMalformed);
  EXPECT_EQ(CodeOf(Rsa().Sign("RS256", {{"kid", "other"}}), keys),
            ErrorCode::kJwsUnknownKey);
}

TEST(ForeignJwsTest, RejectsWhatIsNoToken) {
  const ForeignKeySet keys = SetOf({Rsa().Jwk()});
  for (const char* token : {"", ".", "..", "a.b", "a.b.c.d", "!.!.!"}) {
    EXPECT_EQ(CodeOf(token, keys), ErrorCode::kJwsMalformed) << token;
  }
  EXPECT_EQ(CodeOf(std::string(kMaxForeignTokenSize + 1, 'a'), keys),
            ErrorCode::kTooLarge);
  EXPECT_EQ(CodeOf(Rsa().Sign("RS256", Json::object(), "[]"), keys),
            ErrorCode::kJwsMalformed);
}

TEST(ForeignJwsTest, TakesTheOnlyKeyWhereNoneIsNamed) {
  const auto unnamed = [](const Signer& signer) {
    return signer.Sign("RS256", {{"kid", nullptr}});
  };
  const Signer ed("ED25519");
  EXPECT_EQ(CodeOf(unnamed(Rsa()), SetOf({Rsa().Jwk(), ed.Jwk()})), kGood);
  Json second = Signer("RSA").Jwk();
  second["kid"] = "k2";
  EXPECT_EQ(CodeOf(unnamed(Rsa()), SetOf({Rsa().Jwk(), second})),
            ErrorCode::kJwsUnknownKey);
}

TEST(ForeignKeySetTest, LeavesOutWeakAndForeignKeys) {
  const Signer weak("RSA", 1024);
  Json encryption = Rsa().Jwk();
  encryption["use"] = "enc";
  Json even = Rsa().Jwk();
  even["e"] = "Ag";
  EXPECT_EQ(SetOf({weak.Jwk(),
                   encryption,
                   even,
                   {{"kty", "EC"}, {"crv", "P-521"}, {"x", "x"}, {"y", "y"}},
                   {{"kty", "oct"}}})
                .size(),
            0U);
}

TEST(ForeignKeySetTest, RejectsASecretAndOneNameForTwoKeys) {
  Json leaked = Rsa().Jwk();
  leaked["d"] = "AQAB";
  EXPECT_FALSE(
      ForeignKeySet::FromJson(Json{{"keys", {leaked}}}.dump()).has_value());
  EXPECT_FALSE(ForeignKeySet::FromJson(
                   Json{{"keys", {Rsa().Jwk(), Signer("RSA").Jwk()}}}.dump())
                   .has_value());
}

TEST(ForeignKeySetTest, RejectsWhatIsTooLarge) {
  const std::vector<Json> many(ForeignKeySet::kMaxKeys + 1, Json::object());
  EXPECT_EQ(ForeignKeySet::FromJson(Json{{"keys", many}}.dump()).error().code,
            ErrorCode::kTooLarge);
  EXPECT_EQ(
      ForeignKeySet::FromJson(std::string(ForeignKeySet::kMaxJsonSize + 1, ' '))
          .error()
          .code,
      ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace countersign::jose
