#include "tests/fakes/tpm_bytes.h"

#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <iostream>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"
#include "attest/tpm/signature.h"

namespace countersign::fakes {
namespace {

using tpm::PublicArea;

using ParamBuilderPtr =
    std::unique_ptr<OSSL_PARAM_BLD, OpensslDeleter<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, OpensslDeleter<OSSL_PARAM_free>>;

void Require(bool ok, const char* what) {
  if (ok) return;
  std::cerr << what << ": " << OpensslError() << "\n";
  std::abort();
}

SoftKey WithArea(EvpPkeyPtr key, const PublicArea::Traits& traits) {
  auto area = PublicArea::FromKey(key.get(), traits);
  Require(area.has_value(), "public area");
  return {*std::move(area), std::move(key)};
}

EvpPkeyPtr NewKey(tpm::KeyType type) {
  return type == tpm::KeyType::kRsa2048 ? NewRsaKey(2048) : NewEccKey("P-256");
}

// Signs with OpenSSL: DER for ECDSA, raw for RSASSA.
Bytes SignRaw(EVP_PKEY* key, ByteSpan message) {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  size_t size = 0;
  Require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr,
                             key) == 1 &&
              EVP_DigestSign(context.get(), nullptr, &size, message.data(),
                             message.size()) == 1,
          "sign");
  Bytes signature(size);
  Require(EVP_DigestSign(context.get(), signature.data(), &size, message.data(),
                         message.size()) == 1,
          "sign");
  signature.resize(size);
  return signature;
}

Bytes EncodeEcdsa(const BIGNUM* r, const BIGNUM* s, int field_size) {
  const auto padded = [field_size](const BIGNUM* number) {
    Bytes bytes(static_cast<size_t>(field_size));
    Require(BN_bn2binpad(number, bytes.data(), field_size) == field_size,
            "pad a number");
    return bytes;
  };
  return BigEndianWriter()
      .U16(tpm::kAlgEcdsa)
      .U16(tpm::kAlgSha256)
      .Sized16(padded(r))
      .Sized16(padded(s))
      .bytes();
}

}  // namespace

EvpPkeyPtr NewEccKey(const char* curve) {
  EvpPkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
  Require(key != nullptr, "make an EC key");
  return key;
}

EvpPkeyPtr NewRsaKey(unsigned bits) {
  EvpPkeyPtr key(
      EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(bits)));
  Require(key != nullptr, "make an RSA key");
  return key;
}

EvpPkeyPtr RsaPublicKey(ByteSpan modulus, uint64_t exponent) {
  const BignumPtr n(
      BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const BignumPtr e(BN_new());
  BN_set_word(e.get(), exponent);
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), "n", n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), "e", e.get());
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder.get()));
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  Require(EVP_PKEY_fromdata_init(context.get()) == 1 &&
              EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                                params.get()) == 1,
          "make an RSA public key");
  return EvpPkeyPtr(key);
}

SoftKey NewEk(tpm::KeyType type) {
  return WithArea(NewKey(type), {.attributes = tpm::kEkAttributes,
                                 .symmetric = {tpm::kAlgAes, 128, tpm::kAlgCfb},
                                 .scheme = {},
                                 .auth_policy = ToBytes(tpm::EkAuthPolicy())});
}

SoftKey NewSigningKey(tpm::KeyType type, uint32_t attributes) {
  const uint16_t scheme =
      type == tpm::KeyType::kRsa2048 ? tpm::kAlgRsassa : tpm::kAlgEcdsa;
  return WithArea(NewKey(type), {.attributes = attributes,
                                 .symmetric = {},
                                 .scheme = {scheme, tpm::kAlgSha256},
                                 .auth_policy = {}});
}

SoftKey NewAk(tpm::KeyType type) {
  return NewSigningKey(type, tpm::kAkAttributes);
}

SoftKey NewSessionKey() {
  return NewSigningKey(tpm::KeyType::kEccP256, tpm::kSessionKeyAttributes);
}

Bytes QualifiedSigner(const SoftKey& ek, const SoftKey& ak) {
  const auto parent =
      tpm::QualifiedNameOfPrimary(tpm::kRhEndorsement, ek.area.name());
  Require(parent.has_value(), "Qualified Name of the EK");
  const auto signer = tpm::QualifiedName(*parent, ak.area.name());
  Require(signer.has_value(), "Qualified Name of the AK");
  return *signer;
}

Bytes Sign(const SoftKey& key, ByteSpan message) {
  const Bytes raw = SignRaw(key.key.get(), message);
  if (key.area.type() == tpm::kAlgRsa) {
    return BigEndianWriter()
        .U16(tpm::kAlgRsassa)
        .U16(tpm::kAlgSha256)
        .Sized16(raw)
        .bytes();
  }
  const uint8_t* der = raw.data();
  const EcdsaSigPtr pair(
      d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(raw.size())));
  Require(pair != nullptr, "read an ECDSA signature");
  return EncodeEcdsa(ECDSA_SIG_get0_r(pair.get()), ECDSA_SIG_get0_s(pair.get()),
                     static_cast<int>(key.area.x().size()));
}

Bytes TwinSignature(ByteSpan tpmt_signature) {
  const auto signature = tpm::ParseSignature(tpmt_signature);
  Require(signature.has_value() && signature->s.size() == 32,
          "P-256 signature");
  BIGNUM* order = nullptr;
  BN_hex2bn(&order,
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  const BignumPtr n(order);
  const BignumPtr r(BN_bin2bn(signature->r.data(), 32, nullptr));
  const BignumPtr s(BN_bin2bn(signature->s.data(), 32, nullptr));
  Require(BN_sub(s.get(), n.get(), s.get()) == 1, "n - s");
  return EncodeEcdsa(r.get(), s.get(), 32);
}

Bytes EncodeAttest(const AttestFields& fields) {
  BigEndianWriter writer;
  writer.U32(fields.magic)
      .U16(fields.type)
      .Sized16(fields.qualified_signer)
      .Sized16(fields.extra_data)
      .U64(fields.clock.clock_ms)
      .U32(fields.clock.reset_count)
      .U32(fields.clock.restart_count)
      .U8(fields.clock.safe ? 1 : 0)
      .U64(fields.firmware_version);
  if (fields.type == tpm::kStAttestCertify) {
    writer.Sized16(fields.name).Sized16(fields.qualified_name);
  } else {
    writer.Raw(fields.selection).Sized16(fields.pcr_digest);
  }
  return std::move(writer).bytes();
}

tpm::Quote SignAttest(const SoftKey& ak, const AttestFields& fields) {
  Bytes attest = EncodeAttest(fields);
  Bytes signature = Sign(ak, attest);
  return {std::move(attest), std::move(signature)};
}

}  // namespace countersign::fakes
