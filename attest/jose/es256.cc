#include "attest/jose/es256.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <cstdlib>

#include "attest/base/digest.h"

namespace countersign::jose {
namespace {

constexpr size_t kCoordinateSize = sizeof(Coordinate);
constexpr size_t kMaxDerSignature = 80;
constexpr int kCurveBits = 256;

using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO,
                                 OpensslDeleter<PKCS8_PRIV_KEY_INFO_free>>;

tl::unexpected<Error> NotP256(const char* why) {
  (void)OpensslError();  // Leaves nothing on the queue for the next caller.
  return Fail(ErrorCode::kWeakKey, why);
}

// r and s of a DER signature, as fixed 32-byte numbers.
bool DerToRaw(ByteSpan der, Es256Signature& raw) {
  const uint8_t* data = der.data();
  const EcdsaSigPtr signature(
      d2i_ECDSA_SIG(nullptr, &data, static_cast<long>(der.size())));
  return signature != nullptr &&
         BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(),
                      kCoordinateSize) > 0 &&
         BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()),
                      raw.data() + kCoordinateSize, kCoordinateSize) > 0;
}

Bytes RawToDer(ByteSpan raw) {
  BignumPtr r(BN_bin2bn(raw.data(), kCoordinateSize, nullptr));
  BignumPtr s(
      BN_bin2bn(raw.data() + kCoordinateSize, kCoordinateSize, nullptr));
  const EcdsaSigPtr signature(ECDSA_SIG_new());
  if (!r || !s || !signature) std::abort();  // Out of memory.
  ECDSA_SIG_set0(signature.get(), r.release(), s.release());
  Bytes der(kMaxDerSignature);
  uint8_t* end = der.data();
  const int size = i2d_ECDSA_SIG(signature.get(), &end);
  der.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return der;
}

bool IsP256(const EVP_PKEY* key) {
  char group[64] = {};
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr) == 1 &&
         EVP_PKEY_get_bits(key) == kCurveBits &&
         (std::string_view(group) == "prime256v1" ||
          std::string_view(group) == "P-256");
}

// PEM of whatever `write` puts out.
template <typename Write>
Bytes ToPemBytes(const Write& write) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  char* data = nullptr;
  if (!bio || write(bio.get()) != 1) std::abort();  // Out of memory.
  const long size = BIO_get_mem_data(bio.get(), &data);
  return ToBytes(AsBytes({data, static_cast<size_t>(size)}));
}

}  // namespace

Es256PublicKey::Es256PublicKey(std::shared_ptr<EVP_PKEY> key,
                               const Coordinate& x, const Coordinate& y)
    : key_(std::move(key)), x_(x), y_(y), thumbprint_(EcThumbprint(x, y)) {}

Result<Es256PublicKey> Es256PublicKey::FromCoordinates(ByteSpan x, ByteSpan y) {
  if (x.size() != kCoordinateSize || y.size() != kCoordinateSize) {
    return NotP256("a coordinate is not 32 bytes long");
  }
  Bytes point{4};  // Uncompressed, SEC 1 §2.3.3.
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  char group[] = "prime256v1";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                        point.size()),
      OSSL_PARAM_construct_end()};
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  // Refuses a point that is not on the curve (SEC 1 §2.3.4, step 3).
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) !=
          1) {
    return NotP256("not a point of P-256");
  }
  Coordinate x_fixed;
  Coordinate y_fixed;
  std::ranges::copy(x, x_fixed.begin());
  std::ranges::copy(y, y_fixed.begin());
  return Es256PublicKey({key, EVP_PKEY_free}, x_fixed, y_fixed);
}

Result<Es256PublicKey> Es256PublicKey::FromEvpPkey(const EVP_PKEY* key) {
  if (key == nullptr || !IsP256(key)) return NotP256("not a P-256 key");
  BIGNUM* x = nullptr;
  BIGNUM* y = nullptr;
  const int got = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) &
                  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y);
  const BignumPtr x_owner(x);
  const BignumPtr y_owner(y);
  Coordinate x_bytes;
  Coordinate y_bytes;
  if (got != 1 || BN_bn2binpad(x, x_bytes.data(), kCoordinateSize) < 0 ||
      BN_bn2binpad(y, y_bytes.data(), kCoordinateSize) < 0) {
    return NotP256("the key has no public part");
  }
  return FromCoordinates(x_bytes, y_bytes);
}

std::string Es256PublicKey::ToPem() const {
  return AsString(ToPemBytes(
      [this](BIO* bio) { return PEM_write_bio_PUBKEY(bio, key_.get()); }));
}

Status Es256PublicKey::Verify(ByteSpan message, ByteSpan signature) const {
  if (signature.size() != sizeof(Es256Signature)) {
    return Fail(ErrorCode::kBadSignature, "signature is not 64 bytes long");
  }
  const Sha256Digest digest = Sha256(message);
  const Bytes der = RawToDer(signature);
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  // 0 < r, s < n is checked there (FIPS 186-5 §6.4.2, step 1).
  if (!context || EVP_PKEY_verify_init(context.get()) != 1 ||
      EVP_PKEY_verify(context.get(), der.data(), der.size(), digest.data(),
                      digest.size()) != 1) {
    (void)OpensslError();
    return Fail(ErrorCode::kBadSignature, "signature does not verify");
  }
  return {};
}

Es256Key::Es256Key(EvpPkeyPtr key, EvpPkeyCtxPtr prepared,
                   Es256PublicKey public_key)
    : key_(std::move(key)),
      prepared_(std::move(prepared)),
      public_key_(std::move(public_key)) {}

Result<Es256Key> Es256Key::FromKey(EvpPkeyPtr key) {
  CS_ASSIGN_OR_RETURN(Es256PublicKey public_key,
                      Es256PublicKey::FromEvpPkey(key.get()));
  EvpPkeyCtxPtr prepared(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!prepared || EVP_PKEY_sign_init(prepared.get()) != 1) {
    return Fail(ErrorCode::kInternal, "cannot sign: " + OpensslError());
  }
  return Es256Key(std::move(key), std::move(prepared), std::move(public_key));
}

Result<Es256Key> Es256Key::Generate() {
  EvpPkeyPtr key(EVP_EC_gen("P-256"));
  if (!key) {
    return Fail(ErrorCode::kInternal, "cannot make a key: " + OpensslError());
  }
  return FromKey(std::move(key));
}

Result<Es256Key> Es256Key::FromPem(std::string_view pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Pkcs8Ptr pkcs8(bio ? PEM_read_bio_PKCS8_PRIV_KEY_INFO(
                                 bio.get(), nullptr, nullptr, nullptr)
                           : nullptr);
  EvpPkeyPtr key(pkcs8 ? EVP_PKCS82PKEY(pkcs8.get()) : nullptr);
  if (!key) {
    (void)OpensslError();
    return Fail(ErrorCode::kConfigInvalid, "not a PKCS#8 private key in PEM");
  }
  return FromKey(std::move(key));
}

Secret Es256Key::ToPem() const {
  return Secret(ToPemBytes([this](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key_.get(), nullptr, nullptr, 0,
                                         nullptr, nullptr);
  }));
}

Result<Es256Signature> Es256Key::SignDigest(const Sha256Digest& digest) const {
  const EvpPkeyCtxPtr context(EVP_PKEY_CTX_dup(prepared_.get()));
  std::array<uint8_t, kMaxDerSignature> der;
  size_t size = der.size();
  Es256Signature raw;
  if (!context ||
      EVP_PKEY_sign(context.get(), der.data(), &size, digest.data(),
                    digest.size()) != 1 ||
      !DerToRaw(ByteSpan(der).first(size), raw)) {
    return Fail(ErrorCode::kInternal, "cannot sign: " + OpensslError());
  }
  return raw;
}

}  // namespace countersign::jose
