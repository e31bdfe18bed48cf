// Writing a public area for a key that OpenSSL holds.

#include <openssl/core_names.h>

#include "attest/base/big_endian.h"
#include "attest/tpm/public_area.h"

namespace countersign::tpm {
namespace {

Result<Bytes> Parameter(const EVP_PKEY* key, const char* name, size_t size) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) {
    return Fail(ErrorCode::kWeakKey, OpensslError());
  }
  const BignumPtr owner(number);
  Bytes bytes(size);
  if (BN_bn2binpad(number, bytes.data(), static_cast<int>(size)) < 0) {
    return Fail(ErrorCode::kWeakKey, "the key does not fit a public area");
  }
  return bytes;
}

void WriteTraits(const PublicArea::Traits& traits, uint16_t type,
                 BigEndianWriter& writer) {
  writer.U16(type)
      .U16(kAlgSha256)
      .U32(traits.attributes)
      .Sized16(traits.auth_policy)
      .U16(traits.symmetric.algorithm);
  if (traits.symmetric.algorithm != kAlgNull) {
    writer.U16(traits.symmetric.key_bits).U16(traits.symmetric.mode);
  }
  writer.U16(traits.scheme.algorithm);
  if (traits.scheme.algorithm != kAlgNull) writer.U16(traits.scheme.hash);
}

Status WriteRsa(const EVP_PKEY* key, BigEndianWriter& writer) {
  const auto size = static_cast<size_t>(EVP_PKEY_get_size(key));
  CS_ASSIGN_OR_RETURN(const Bytes exponent,
                      Parameter(key, OSSL_PKEY_PARAM_RSA_E, 4));
  CS_ASSIGN_OR_RETURN(const Bytes modulus,
                      Parameter(key, OSSL_PKEY_PARAM_RSA_N, size));
  const uint32_t e = BigEndianReader(exponent).U32();
  writer.U16(static_cast<uint16_t>(EVP_PKEY_get_bits(key)))
      .U32(e == 65537 ? 0 : e)  // As a TPM writes its default.
      .Sized16(modulus);
  return {};
}

Status WriteEcc(const EVP_PKEY* key, BigEndianWriter& writer) {
  const int bits = EVP_PKEY_get_bits(key);
  const size_t size = bits == 384 ? 48 : 32;
  CS_ASSIGN_OR_RETURN(const Bytes x,
                      Parameter(key, OSSL_PKEY_PARAM_EC_PUB_X, size));
  CS_ASSIGN_OR_RETURN(const Bytes y,
                      Parameter(key, OSSL_PKEY_PARAM_EC_PUB_Y, size));
  writer.U16(bits == 384 ? kCurveP384 : kCurveP256)
      .U16(kAlgNull)  // No key derivation scheme.
      .Sized16(x)
      .Sized16(y);
  return {};
}

}  // namespace

Result<PublicArea> PublicArea::FromKey(const EVP_PKEY* key,
                                       const Traits& traits) {
  const bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
  BigEndianWriter writer;
  WriteTraits(traits, rsa ? kAlgRsa : kAlgEcc, writer);
  CS_RETURN_IF_ERROR(rsa ? WriteRsa(key, writer) : WriteEcc(key, writer));
  return Parse(writer.bytes());
}

}  // namespace countersign::tpm
