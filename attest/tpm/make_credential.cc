#include "attest/tpm/make_credential.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rsa.h>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"
#include "attest/tpm/hash.h"
#include "attest/tpm/kdf.h"

namespace countersign::tpm {
namespace {

constexpr std::string_view kIdentityLabel = "IDENTITY";
constexpr std::string_view kStorageLabel = "STORAGE";
constexpr std::string_view kIntegrityLabel = "INTEGRITY";

// A seed that the EK's TPM will share, and what carries it there.
struct SharedSeed {
  Secret seed;
  Bytes encrypted;
};

tl::unexpected<Error> CryptoFailed() {
  return Fail(ErrorCode::kInternal, OpensslError());
}

// Annex B.10.4: RSA-OAEP, the label with its terminating zero.
Result<SharedSeed> ShareSeedByRsa(const PublicArea& ek) {
  Secret seed(RandomBytes(HashSize(ek.name_alg())));
  const EVP_MD* md = HashFor(ek.name_alg());
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, ek.key(), nullptr));
  const size_t label_size = kIdentityLabel.size() + 1;
  // OpenSSL takes ownership of the label.
  void* label = OPENSSL_memdup(kIdentityLabel.data(), label_size);
  if (EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) !=
          1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), md) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), md) != 1 ||
      EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), label,
                                       static_cast<int>(label_size)) != 1) {
    OPENSSL_free(label);
    return CryptoFailed();
  }
  Bytes encrypted(static_cast<size_t>(EVP_PKEY_get_size(ek.key())));
  size_t size = encrypted.size();
  const ByteSpan plain = seed.Expose();
  if (EVP_PKEY_encrypt(context.get(), encrypted.data(), &size, plain.data(),
                       plain.size()) != 1) {
    return CryptoFailed();
  }
  encrypted.resize(size);
  return SharedSeed{std::move(seed), std::move(encrypted)};
}

Result<Secret> Ecdh(EVP_PKEY* own, EVP_PKEY* peer) {
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, own, nullptr));
  size_t size = 0;
  if (EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer) != 1 ||
      EVP_PKEY_derive(context.get(), nullptr, &size) != 1) {
    return CryptoFailed();
  }
  Bytes shared(size);
  if (EVP_PKEY_derive(context.get(), shared.data(), &size) != 1) {
    return CryptoFailed();
  }
  return Secret(std::move(shared));
}

// Annex C.6.1: one-pass ECDH with an ephemeral key.
Result<SharedSeed> ShareSeedByEcdh(const PublicArea& ek) {
  const EvpPkeyPtr ephemeral(EVP_PKEY_Q_keygen(
      nullptr, nullptr, "EC", ek.curve() == kCurveP384 ? "P-384" : "P-256"));
  if (ephemeral == nullptr) return CryptoFailed();
  CS_ASSIGN_OR_RETURN(const PublicArea point,
                      PublicArea::FromKey(ephemeral.get(), {}));
  CS_ASSIGN_OR_RETURN(const Secret z, Ecdh(ephemeral.get(), ek.key()));
  return SharedSeed{
      KdfE(ek.name_alg(), z.Expose(), kIdentityLabel, point.x(), ek.x()),
      BigEndianWriter().Sized16(point.x()).Sized16(point.y()).bytes()};
}

// AES in CFB mode with a zero IV: the key is used once.
Result<Bytes> EncryptCfb(const Secret& key, ByteSpan plain) {
  const EVP_CIPHER* cipher =
      key.Expose().size() == 32 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
  const EvpCipherCtxPtr context(EVP_CIPHER_CTX_new());
  const std::array<uint8_t, 16> iv{};
  Bytes encrypted(plain.size());
  int size = 0;
  if (EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.Expose().data(),
                         iv.data()) != 1 ||
      EVP_EncryptUpdate(context.get(), encrypted.data(), &size, plain.data(),
                        static_cast<int>(plain.size())) != 1 ||
      static_cast<size_t>(size) != plain.size()) {
    return CryptoFailed();
  }
  return encrypted;
}

Status CheckStorageKey(const PublicArea& ek) {
  if (!ek.HasAll(kRestricted | kDecrypt) || ek.HasAny(kSign) ||
      ek.symmetric().algorithm != kAlgAes) {
    return Fail(ErrorCode::kWeakKey, "the EK is not a storage key");
  }
  return {};
}

}  // namespace

Result<Credential> MakeCredential(const PublicArea& ek, ByteSpan ak_name,
                                  const Secret& secret) {
  CS_RETURN_IF_ERROR(CheckStorageKey(ek));
  const uint16_t hash = ek.name_alg();
  const size_t digest_size = HashSize(hash);
  if (secret.empty() || secret.Expose().size() > digest_size ||
      ak_name.empty()) {
    return Fail(ErrorCode::kBadRequest, "size of the credential or Name");
  }
  CS_ASSIGN_OR_RETURN(SharedSeed shared, ek.type() == kAlgRsa
                                             ? ShareSeedByRsa(ek)
                                             : ShareSeedByEcdh(ek));
  const ByteSpan seed = shared.seed.Expose();

  // Part 1 §24.4: encrypt, then authenticate together with the Name.
  const Secret symmetric_key =
      KdfA(hash, seed, kStorageLabel, ak_name, ek.symmetric().key_bits / 8);
  const Secret identity(BigEndianWriter().Sized16(secret.Expose()).bytes());
  CS_ASSIGN_OR_RETURN(const Bytes encrypted_identity,
                      EncryptCfb(symmetric_key, identity.Expose()));
  const Secret hmac_key = KdfA(hash, seed, kIntegrityLabel, {}, digest_size);
  const Bytes integrity =
      Hmac(hash, hmac_key.Expose(),
           BigEndianWriter().Raw(encrypted_identity).Raw(ak_name).bytes());
  return Credential{
      BigEndianWriter().Sized16(integrity).Raw(encrypted_identity).bytes(),
      std::move(shared.encrypted)};
}

}  // namespace countersign::tpm
