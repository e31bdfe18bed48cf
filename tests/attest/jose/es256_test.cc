#include "attest/jose/es256.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <string>
#include <thread>
#include <vector>

#include "attest/base/digest.h"
#include "tests/vectors/load_vectors.h"

namespace countersign::jose {
namespace {

// RFC 7515 appendix A.3.1.
constexpr const char* kX = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
constexpr const char* kY = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
constexpr const char* kSigningInput =
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
constexpr const char* kSignature =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
    "pmWQxfKTUJqPP3-Kg6NU1Q";

// The order n of P-256.
constexpr const char* kOrder =
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

Es256PublicKey RfcKey() {
  return Es256PublicKey::FromCoordinates(FromBase64Url(kX).value(),
                                         FromBase64Url(kY).value())
      .value();
}

ErrorCode VerifyCode(const Bytes& signature) {
  const Status status = RfcKey().Verify(AsBytes(kSigningInput), signature);
  return status ? ErrorCode{} : status.error().code;
}

EvpPkeyPtr Ec(const char* curve) { return EvpPkeyPtr(EVP_EC_gen(curve)); }

std::string Pkcs8(const EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr,
                                nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

TEST(ThumbprintTest, ReproducesTheVector) {  // RFC 7638
  const auto vector = LoadVectors()["jwk"][0];
  Coordinate x = UnhexDigest(vector["x"]);
  Coordinate y = UnhexDigest(vector["y"]);
  EXPECT_EQ(EcJwkJson(x, y), vector["thumbprint_input"]);
  EXPECT_EQ(EcThumbprint(x, y), vector["jkt"]);
}

// RFC 9449 §6.1: the key of its examples and the jkt that they bind.
TEST(ThumbprintTest, ReproducesTheExampleOfRfc9449) {
  const auto key = Es256PublicKey::FromJwkJson(
      R"({"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",)"
      R"("y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"})");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

TEST(Es256PublicKeyTest, VerifiesTheExampleOfRfc7515) {  // Appendix A.3
  EXPECT_EQ(VerifyCode(FromBase64Url(kSignature).value()), ErrorCode{});
}

TEST(Es256PublicKeyTest, RejectsAChangedMessageOrSignature) {
  const Bytes signature = FromBase64Url(kSignature).value();
  EXPECT_FALSE(RfcKey().Verify(AsBytes("other"), signature));
  for (size_t i = 0; i < signature.size(); ++i) {
    Bytes changed = signature;
    changed[i] ^= 1;
    EXPECT_EQ(VerifyCode(changed), ErrorCode::kBadSignature) << i;
  }
}

TEST(Es256PublicKeyTest, RejectsASignatureOfAnotherLength) {  // A25
  const Bytes signature = FromBase64Url(kSignature).value();
  Bytes longer = signature;
  longer.push_back(0);
  Bytes shorter = signature;
  shorter.pop_back();
  EXPECT_EQ(VerifyCode(longer), ErrorCode::kBadSignature);
  EXPECT_EQ(VerifyCode(shorter), ErrorCode::kBadSignature);
  EXPECT_EQ(VerifyCode({}), ErrorCode::kBadSignature);
}

// A25: the DER form, even where it happens to be 64 bytes long, is not raw.
TEST(Es256PublicKeyTest, RejectsASignatureInDer) {
  const auto key = Es256Key::Generate().value();
  const Bytes message{1, 2, 3};
  Bytes der{0x30, 62, 0x02, 29};
  der.resize(33, 1);
  der.insert(der.end(), {0x02, 29});
  der.resize(64, 1);
  EXPECT_FALSE(key.public_key().Verify(message, der));
}

TEST(Es256PublicKeyTest, RejectsRAndSOutOfRange) {  // A25
  const Bytes signature = FromBase64Url(kSignature).value();
  const Bytes zero(32, 0);
  const Bytes order = FromHex(kOrder).value();
  const Bytes above(32, 0xff);
  for (const Bytes& bad : {zero, order, above}) {
    Bytes bad_r = bad;
    bad_r.insert(bad_r.end(), signature.begin() + 32, signature.end());
    Bytes bad_s(signature.begin(), signature.begin() + 32);
    bad_s.insert(bad_s.end(), bad.begin(), bad.end());
    EXPECT_EQ(VerifyCode(bad_r), ErrorCode::kBadSignature);
    EXPECT_EQ(VerifyCode(bad_s), ErrorCode::kBadSignature);
  }
}

TEST(Es256PublicKeyTest, RejectsAPointThatIsNotOnTheCurve) {
  Bytes y = FromBase64Url(kY).value();
  y[31] ^= 1;
  const auto key =
      Es256PublicKey::FromCoordinates(FromBase64Url(kX).value(), y);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, ErrorCode::kWeakKey);
  EXPECT_FALSE(Es256PublicKey::FromCoordinates(Bytes(32), Bytes(32)));
  EXPECT_FALSE(Es256PublicKey::FromCoordinates(Bytes(32, 0xff), y));
}

TEST(Es256PublicKeyTest, RejectsCoordinatesOfAnotherLength) {
  const Bytes x = FromBase64Url(kX).value();
  EXPECT_FALSE(Es256PublicKey::FromCoordinates(x, Bytes(31)));
  EXPECT_FALSE(Es256PublicKey::FromCoordinates({}, x));
}

TEST(Es256PublicKeyTest, RejectsKeysOnOtherCurvesOrOfOtherKinds) {
  for (const char* curve : {"secp256k1", "P-384", "brainpoolP256r1"}) {
    const auto key = Es256PublicKey::FromEvpPkey(Ec(curve).get());
    ASSERT_FALSE(key) << curve;
    EXPECT_EQ(key.error().code, ErrorCode::kWeakKey);
  }
  const EvpPkeyPtr ed(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_FALSE(Es256PublicKey::FromEvpPkey(ed.get()));
  EXPECT_FALSE(Es256PublicKey::FromEvpPkey(nullptr));
}

TEST(Es256PublicKeyTest, IsTheSameThroughOpensslJwkAndPem) {
  const EvpPkeyPtr made = Ec("P-256");
  const auto key = Es256PublicKey::FromEvpPkey(made.get());
  ASSERT_TRUE(key);
  const auto again = Es256PublicKey::FromJwkJson(key->ToJwkJson());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->thumbprint(), key->thumbprint());
  const std::string pem = key->ToPem();
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const EvpPkeyPtr read(
      PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  EXPECT_EQ(EVP_PKEY_eq(read.get(), made.get()), 1);
}

TEST(Es256KeyTest, SignsWhatItsPublicKeyVerifies) {
  const auto key = Es256Key::Generate().value();
  const Bytes message{1, 2, 3};
  for (int i = 0; i < 200; ++i) {  // Short r or s come up now and then.
    const auto signature = key.SignDigest(Sha256(message));
    ASSERT_TRUE(signature);
    ASSERT_TRUE(key.public_key().Verify(message, *signature));
  }
}

TEST(Es256KeyTest, IsTheSameKeyAfterPem) {
  const auto key = Es256Key::Generate().value();
  const Secret pem = key.ToPem();
  const auto again = Es256Key::FromPem(AsString(pem.Expose()));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->kid(), key.kid());
  const Bytes message{9};
  EXPECT_TRUE(key.public_key().Verify(
      message, again->SignDigest(Sha256(message)).value()));
}

TEST(Es256KeyTest, RejectsPemOfAnythingElse) {
  const auto code_of = [](std::string_view pem) {
    const auto key = Es256Key::FromPem(pem);
    return key ? ErrorCode{} : key.error().code;
  };
  EXPECT_EQ(code_of(""), ErrorCode::kConfigInvalid);
  EXPECT_EQ(code_of("-----BEGIN PRIVATE KEY-----\nAAAA\n"
                    "-----END PRIVATE KEY-----\n"),
            ErrorCode::kConfigInvalid);
  EXPECT_EQ(code_of(Es256Key::Generate()->public_key().ToPem()),
            ErrorCode::kConfigInvalid);
  EXPECT_EQ(code_of(Pkcs8(Ec("P-384").get())), ErrorCode::kWeakKey);
  EXPECT_EQ(code_of(Pkcs8(Ec("secp256k1").get())), ErrorCode::kWeakKey);
}

TEST(Es256KeyTest, SignsFromSeveralThreadsAtOnce) {
  const auto key = Es256Key::Generate().value();
  std::vector<std::thread> threads;
  std::array<int, 4> good{};
  for (size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([&key, &count = good[t], t] {
      const Bytes message{static_cast<uint8_t>(t)};
      for (int i = 0; i < 100; ++i) {
        const auto signature = key.SignDigest(Sha256(message));
        count += signature && key.public_key().Verify(message, *signature);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int count : good) EXPECT_EQ(count, 100);
}

}  // namespace
}  // namespace countersign::jose
