#include "attest/tpm/signature.h"

#include <openssl/rsa.h>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"
#include "tests/fails_with.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::tpm {
namespace {

using fakes::SoftKey;

constexpr std::string_view kOrder =
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

const Bytes& Message() {
  static const Bytes kMessage = ToBytes(AsBytes("what was signed"));
  return kMessage;
}

Bytes Ecdsa(ByteSpan r, ByteSpan s) {
  return BigEndianWriter()
      .U16(kAlgEcdsa)
      .U16(kAlgSha256)
      .Sized16(r)
      .Sized16(s)
      .bytes();
}

// Keys are dear to make and these tests only use them.
const SoftKey& SharedAk(KeyType type) {
  static const SoftKey* ecc = new SoftKey(fakes::NewAk(KeyType::kEccP256));
  static const SoftKey* rsa = new SoftKey(fakes::NewAk(KeyType::kRsa2048));
  return type == KeyType::kEccP256 ? *ecc : *rsa;
}

class VerifySignatureTest : public testing::TestWithParam<KeyType> {
 protected:
  const SoftKey& key_ = SharedAk(GetParam());
  Bytes signature_ = fakes::Sign(key_, Message());

  void ExpectBad() {
    EXPECT_TRUE(FailsWith(VerifySignature(key_.area, Message(), signature_),
                          ErrorCode::kBadSignature));
  }
};

INSTANTIATE_TEST_SUITE_P(Keys, VerifySignatureTest,
                         testing::Values(KeyType::kEccP256, KeyType::kRsa2048),
                         [](const auto& test) {
                           return test.param == KeyType::kEccP256 ? "Ecc"
                                                                  : "Rsa";
                         });

TEST_P(VerifySignatureTest, AcceptsAGoodSignature) {
  EXPECT_TRUE(Succeeds(VerifySignature(key_.area, Message(), signature_)));
}
TEST_P(VerifySignatureTest, RejectsAnotherMessage) {
  EXPECT_TRUE(FailsWith(
      VerifySignature(key_.area, AsBytes("something else"), signature_),
      ErrorCode::kBadSignature));
}
TEST_P(VerifySignatureTest, RejectsAnotherKey) {
  EXPECT_TRUE(FailsWith(
      VerifySignature(fakes::NewAk(GetParam()).area, Message(), signature_),
      ErrorCode::kBadSignature));
}
TEST_P(VerifySignatureTest, RejectsATruncationAtEveryByte) {
  const Bytes whole = signature_;
  for (size_t size = 0; size < whole.size(); ++size) {
    signature_.assign(whole.begin(), whole.begin() + size);
    ExpectBad();
  }
}
TEST_P(VerifySignatureTest, RejectsBytesLeftOver) {
  signature_.push_back(0);
  ExpectBad();
}
TEST_P(VerifySignatureTest, RejectsMoreThanItsBound) {
  signature_ = Bytes(kMaxSignatureSize + 1);
  ExpectBad();
}
TEST_P(VerifySignatureTest, RejectsAnotherHashName) {
  signature_[3] = kAlgSha1;
  ExpectBad();
}
TEST_P(VerifySignatureTest, RejectsAnotherAlgorithmName) {
  for (const uint16_t algorithm :
       {kAlgRsapss, kAlgNull, kAlgRsassa, kAlgEcdsa}) {
    const Bytes whole = signature_;
    if (signature_[1] == algorithm) continue;
    signature_[1] = static_cast<uint8_t>(algorithm);
    ExpectBad();
    signature_ = whole;
  }
}
TEST_P(VerifySignatureTest, RejectsASignatureByTheOtherKindOfKey) {
  const SoftKey& other = SharedAk(
      GetParam() == KeyType::kEccP256 ? KeyType::kRsa2048 : KeyType::kEccP256);
  signature_ = fakes::Sign(other, Message());
  ExpectBad();
}

// A25: the right key over the wrong hash.
TEST_P(VerifySignatureTest, RejectsASignatureOverASha1Digest) {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  size_t size = 512;
  Bytes raw(size);
  ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha1(), nullptr,
                               key_.key.get()),
            1);
  ASSERT_EQ(EVP_DigestSign(context.get(), raw.data(), &size, Message().data(),
                           Message().size()),
            1);
  raw.resize(size);
  if (GetParam() == KeyType::kRsa2048) {
    signature_ =
        BigEndianWriter().U16(kAlgRsassa).U16(kAlgSha256).Sized16(raw).bytes();
  } else {
    const uint8_t* der = raw.data();
    const EcdsaSigPtr pair(
        d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(raw.size())));
    Bytes r(32);
    Bytes s(32);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), r.data(), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), s.data(), 32);
    signature_ = Ecdsa(r, s);
  }
  ExpectBad();
}

TEST_P(VerifySignatureTest, RejectsAKeyWithoutASchemeOfItsOwn) {
  const auto area =
      PublicArea::FromKey(key_.key.get(), {.attributes = kAkAttributes,
                                           .symmetric = {},
                                           .scheme = {},
                                           .auth_policy = {}});
  ASSERT_TRUE(Succeeds(area));
  EXPECT_TRUE(FailsWith(VerifySignature(*area, Message(), signature_),
                        ErrorCode::kBadSignature));
}

class EcdsaTest : public testing::Test {
 protected:
  const SoftKey key_ = fakes::NewAk(KeyType::kEccP256);
  const Bytes signature_ = fakes::Sign(key_, Message());
  const Signature parsed_ = ParseSignature(signature_).value();

  void ExpectBad(ByteSpan r, ByteSpan s) {
    EXPECT_TRUE(FailsWith(VerifySignature(key_.area, Message(), Ecdsa(r, s)),
                          ErrorCode::kBadSignature))
        << ToHex(r) << " " << ToHex(s);
  }
};

// A25: high s is what TPMs return; its twin verifies as well, which is why
// nothing may be keyed on signature bytes.
TEST_F(EcdsaTest, AcceptsTheTwinSignature) {
  const Bytes twin = fakes::TwinSignature(signature_);
  EXPECT_NE(twin, signature_);
  EXPECT_TRUE(Succeeds(VerifySignature(key_.area, Message(), twin)));
  EXPECT_EQ(fakes::TwinSignature(twin), signature_);
}

// A25
TEST_F(EcdsaTest, RejectsNumbersOutOfRange) {
  const Bytes zero(32);
  const Bytes order = FromHex(kOrder).value();
  Bytes above = order;
  above.back() += 1;
  const Bytes ones(32, 0xff);
  for (const Bytes& bad : {zero, order, above, ones, Bytes{}, Bytes{0}}) {
    ExpectBad(bad, parsed_.s);
    ExpectBad(parsed_.r, bad);
    ExpectBad(bad, bad);
  }
}

// A25: r + n is the same number modulo n, but no valid encoding.
TEST_F(EcdsaTest, RejectsNumbersLongerThanTheField) {
  Bytes padded = parsed_.r;
  padded.insert(padded.begin(), 0);
  ExpectBad(padded, parsed_.s);
}

// A25
TEST_F(EcdsaTest, RejectsDer) {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  Bytes der(128);
  size_t size = der.size();
  ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr,
                               key_.key.get()),
            1);
  ASSERT_EQ(EVP_DigestSign(context.get(), der.data(), &size, Message().data(),
                           Message().size()),
            1);
  der.resize(size);
  EXPECT_TRUE(FailsWith(VerifySignature(key_.area, Message(), der),
                        ErrorCode::kBadSignature));
}

// A25: RSA-PSS, whatever its salt, is not RSASSA.
TEST(RsassaTest, RejectsPssWithAnySaltLength) {
  const SoftKey& key = SharedAk(KeyType::kRsa2048);
  const Sha256Digest digest = Sha256(Message());
  for (const int salt : {0, 20, 32, RSA_PSS_SALTLEN_MAX}) {
    const EvpPkeyCtxPtr context(EVP_PKEY_CTX_new(key.key.get(), nullptr));
    Bytes raw(256);
    size_t size = raw.size();
    ASSERT_EQ(EVP_PKEY_sign_init(context.get()), 1);
    EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256());
    EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), salt);
    ASSERT_EQ(EVP_PKEY_sign(context.get(), raw.data(), &size, digest.data(),
                            digest.size()),
              1);
    for (const uint16_t algorithm : {kAlgRsassa, kAlgRsapss}) {
      const Bytes signature =
          BigEndianWriter().U16(algorithm).U16(kAlgSha256).Sized16(raw).bytes();
      EXPECT_TRUE(FailsWith(VerifySignature(key.area, Message(), signature),
                            ErrorCode::kBadSignature));
    }
  }
}

TEST(RsassaTest, RejectsASignatureWithAZeroByteInFront) {
  const SoftKey& key = SharedAk(KeyType::kRsa2048);
  Bytes raw = ParseSignature(fakes::Sign(key, Message()))->rsa;
  raw.insert(raw.begin(), 0);
  const Bytes signature =
      BigEndianWriter().U16(kAlgRsassa).U16(kAlgSha256).Sized16(raw).bytes();
  EXPECT_TRUE(FailsWith(VerifySignature(key.area, Message(), signature),
                        ErrorCode::kBadSignature));
}

}  // namespace
}  // namespace countersign::tpm
