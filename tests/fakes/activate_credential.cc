// TPM2_ActivateCredential in software (tests/fakes/tpm_bytes.h), for EKs with
// nameAlg SHA-256 and AES-128.

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::fakes {
namespace {

using KdfCtxPtr =
    std::unique_ptr<EVP_KDF_CTX, OpensslDeleter<EVP_KDF_CTX_free>>;
using KdfPtr = std::unique_ptr<EVP_KDF, OpensslDeleter<EVP_KDF_free>>;

OSSL_PARAM Octets(const char* name, ByteSpan bytes) {
  return OSSL_PARAM_construct_octet_string(
      name, const_cast<uint8_t*>(bytes.data()), bytes.size());
}
OSSL_PARAM Text(const char* name, const char* text) {
  return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(text), 0);
}

Bytes Derive(const char* algorithm, const OSSL_PARAM* params, size_t size) {
  const KdfPtr kdf(EVP_KDF_fetch(nullptr, algorithm, nullptr));
  const KdfCtxPtr context(EVP_KDF_CTX_new(kdf.get()));
  Bytes key(size);
  if (EVP_KDF_derive(context.get(), key.data(), size, params) != 1) return {};
  return key;
}

// KDFa is SP 800-108 in counter mode.
Bytes KdfA(ByteSpan seed, std::string_view label, ByteSpan context,
           size_t size) {
  const OSSL_PARAM params[] = {Text(OSSL_KDF_PARAM_MODE, "COUNTER"),
                               Text(OSSL_KDF_PARAM_MAC, "HMAC"),
                               Text(OSSL_KDF_PARAM_DIGEST, "SHA256"),
                               Octets(OSSL_KDF_PARAM_KEY, seed),
                               Octets(OSSL_KDF_PARAM_SALT, AsBytes(label)),
                               Octets(OSSL_KDF_PARAM_INFO, context),
                               OSSL_PARAM_construct_end()};
  return Derive("KBKDF", params, size);
}

// KDFe is the one-step function of SP 800-56A.
Bytes KdfE(ByteSpan z, const Bytes& info) {
  const OSSL_PARAM params[] = {
      Text(OSSL_KDF_PARAM_DIGEST, "SHA256"), Octets(OSSL_KDF_PARAM_KEY, z),
      Octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  return Derive("SSKDF", params, 32);
}

Bytes OpenRsaSeed(const SoftKey& ek, ByteSpan encrypted) {
  const EvpPkeyCtxPtr context(EVP_PKEY_CTX_new(ek.key.get(), nullptr));
  EVP_PKEY_decrypt_init(context.get());
  EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING);
  EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256());
  EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), OPENSSL_memdup("IDENTITY", 9),
                                   9);
  Bytes seed(static_cast<size_t>(EVP_PKEY_get_size(ek.key.get())));
  size_t size = seed.size();
  if (EVP_PKEY_decrypt(context.get(), seed.data(), &size, encrypted.data(),
                       encrypted.size()) != 1) {
    return {};
  }
  seed.resize(size);
  return seed;
}

Bytes OpenEccSeed(const SoftKey& ek, ByteSpan encrypted) {
  BigEndianReader reader(encrypted);
  const ByteSpan x = reader.Sized16(32);
  const ByteSpan y = reader.Sized16(32);
  if (!reader.AtEnd() || x.size() != 32 || y.size() != 32) return {};
  // The ephemeral point as a key of the EK's curve.
  const EvpPkeyPtr peer(EVP_PKEY_new());
  EVP_PKEY_copy_parameters(peer.get(), ek.key.get());
  const Bytes point = BigEndianWriter().U8(4).Raw(x).Raw(y).bytes();
  if (EVP_PKEY_set1_encoded_public_key(peer.get(), point.data(),
                                       point.size()) != 1) {
    return {};
  }
  const EvpPkeyCtxPtr context(EVP_PKEY_CTX_new(ek.key.get(), nullptr));
  Bytes z(32);
  size_t size = z.size();
  if (EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), z.data(), &size) != 1) {
    return {};
  }
  return KdfE(z, BigEndianWriter()
                     .Raw(AsBytes("IDENTITY"))
                     .U8(0)
                     .Raw(x)
                     .Raw(ek.area.x())
                     .bytes());
}

Bytes DecryptCfb(const Bytes& key, ByteSpan encrypted) {
  const EvpCipherCtxPtr context(EVP_CIPHER_CTX_new());
  const std::array<uint8_t, 16> iv{};
  Bytes plain(encrypted.size());
  int size = 0;
  EVP_DecryptInit_ex(context.get(), EVP_aes_128_cfb128(), nullptr, key.data(),
                     iv.data());
  EVP_DecryptUpdate(context.get(), plain.data(), &size, encrypted.data(),
                    static_cast<int>(encrypted.size()));
  return plain;
}

}  // namespace

std::optional<Secret> ActivateCredential(const SoftKey& ek, ByteSpan ak_name,
                                         const tpm::Credential& credential) {
  const Bytes seed = ek.area.type() == tpm::kAlgRsa
                         ? OpenRsaSeed(ek, credential.encrypted_secret)
                         : OpenEccSeed(ek, credential.encrypted_secret);
  if (seed.size() != 32) return std::nullopt;
  BigEndianReader reader(credential.id_object);
  const ByteSpan integrity = reader.Sized16(32);
  const ByteSpan encrypted = reader.rest();
  const Sha256Digest expected =
      HmacSha256(KdfA(seed, "INTEGRITY", {}, 32),
                 BigEndianWriter().Raw(encrypted).Raw(ak_name).bytes());
  if (!reader.ok() || !Equal(integrity, expected)) return std::nullopt;
  const Bytes identity =
      DecryptCfb(KdfA(seed, "STORAGE", ak_name, 16), encrypted);
  BigEndianReader identity_reader(identity);
  const ByteSpan secret = identity_reader.Sized16(32);
  if (!identity_reader.AtEnd()) return std::nullopt;
  return Secret(ToBytes(secret));
}

}  // namespace countersign::fakes
