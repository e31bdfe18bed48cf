#include "attest/tpm/public_area.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "attest/base/big_endian.h"
#include "attest/tpm/hash.h"

namespace countersign::tpm {
namespace {

constexpr uint32_t kDefaultExponent = 65537;  // What a TPM writes as 0.
constexpr uint32_t kKnownAttributes =
    kFixedTpm | kStClear | kFixedParent | kSensitiveDataOrigin | kUserWithAuth |
    kAdminWithPolicy | kNoDa | kEncryptedDuplication | kRestricted | kDecrypt |
    kSign;

using ParamBuilderPtr =
    std::unique_ptr<OSSL_PARAM_BLD, OpensslDeleter<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, OpensslDeleter<OSSL_PARAM_free>>;

tl::unexpected<Error> Malformed(const std::string& detail) {
  return Fail(ErrorCode::kMalformedEvidence, "public area: " + detail);
}

const char* GroupName(uint16_t curve) {
  switch (curve) {
    case kCurveP256:
      return "P-256";
    case kCurveP384:
      return "P-384";
    default:
      return nullptr;
  }
}

size_t FieldSize(uint16_t curve) { return curve == kCurveP384 ? 48 : 32; }

Bytes LeftPad(ByteSpan bytes, size_t size) {
  Bytes padded(size - bytes.size());
  padded.insert(padded.end(), bytes.begin(), bytes.end());
  return padded;
}

Result<EvpPkeyPtr> BuildKey(const char* type, OSSL_PARAM_BLD* builder) {
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder));
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr ||
      EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                        params.get()) != 1) {
    return Malformed(OpensslError());
  }
  return EvpPkeyPtr(key);
}

// OpenSSL refuses a point that is not on the curve.
Result<EvpPkeyPtr> BuildEccKey(uint16_t curve, ByteSpan x, ByteSpan y) {
  Bytes point = {POINT_CONVERSION_UNCOMPRESSED};
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                  GroupName(curve), 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                   point.data(), point.size());
  return BuildKey("EC", builder.get());
}

Result<EvpPkeyPtr> BuildRsaKey(ByteSpan modulus, uint32_t exponent) {
  const BignumPtr n(
      BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const BignumPtr e(BN_new());
  BN_set_word(e.get(), exponent);
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  return BuildKey("RSA", builder.get());
}

// TPMT_SYM_DEF_OBJECT (Part 2 §11.1.7).
Result<PublicArea::Symmetric> ReadSymmetric(BigEndianReader& reader) {
  PublicArea::Symmetric symmetric{.algorithm = reader.U16()};
  if (symmetric.algorithm == kAlgNull) return symmetric;
  symmetric.key_bits = reader.U16();
  symmetric.mode = reader.U16();
  if (symmetric.algorithm != kAlgAes || symmetric.mode != kAlgCfb ||
      (symmetric.key_bits != 128 && symmetric.key_bits != 256)) {
    return Malformed("symmetric algorithm");
  }
  return symmetric;
}

// TPMT_RSA_SCHEME or TPMT_ECC_SCHEME (Part 2 §11.2.4.2, §11.2.5.6).
Result<PublicArea::Scheme> ReadScheme(uint16_t type, BigEndianReader& reader) {
  PublicArea::Scheme scheme{.algorithm = reader.U16()};
  if (scheme.algorithm == kAlgNull) return scheme;
  const bool known = type == kAlgRsa ? scheme.algorithm == kAlgRsassa ||
                                           scheme.algorithm == kAlgRsapss
                                     : scheme.algorithm == kAlgEcdsa;
  if (!known) return Malformed("signing scheme");
  scheme.hash = reader.U16();
  return scheme;
}

}  // namespace

// TPMT_PUBLIC (Part 2 §12.2.4).
Result<PublicArea> PublicArea::Parse(ByteSpan tpmt_public) {
  if (tpmt_public.size() > kMaxPublicSize) return Malformed("too large");
  BigEndianReader reader(tpmt_public);
  PublicArea area;
  area.bytes_ = ToBytes(tpmt_public);
  area.type_ = reader.U16();
  area.name_alg_ = reader.U16();
  area.traits_.attributes = reader.U32();
  area.traits_.auth_policy = ToBytes(reader.Sized16(kMaxDigestSize));
  if (!reader.ok()) return Malformed("truncated");
  if (area.type_ != kAlgRsa && area.type_ != kAlgEcc) {
    return Fail(ErrorCode::kWeakKey, "the key is neither RSA nor ECC");
  }
  const size_t digest_size = HashSize(area.name_alg_);
  if (digest_size == 0) return Malformed("nameAlg");
  if ((area.traits_.attributes & ~kKnownAttributes) != 0) {
    return Malformed("reserved attribute");
  }
  const size_t policy_size = area.traits_.auth_policy.size();
  if (policy_size != 0 && policy_size != digest_size) {
    return Malformed("size of authPolicy");
  }
  CS_ASSIGN_OR_RETURN(area.traits_.symmetric, ReadSymmetric(reader));
  CS_ASSIGN_OR_RETURN(area.traits_.scheme, ReadScheme(area.type_, reader));
  CS_RETURN_IF_ERROR(area.type_ == kAlgRsa ? area.ReadRsa(reader)
                                           : area.ReadEcc(reader));
  area.name_ = BigEndianWriter()
                   .U16(area.name_alg_)
                   .Raw(Hash(area.name_alg_, {tpmt_public}))
                   .bytes();
  return area;
}

Status PublicArea::ReadRsa(BigEndianReader& reader) {
  const uint16_t key_bits = reader.U16();
  const uint32_t exponent = reader.U32();
  const ByteSpan modulus = reader.Sized16(kMaxPublicSize);
  if (!reader.AtEnd()) return Malformed("truncated, or bytes left over");
  if (key_bits < 1024 || key_bits > 4096 || key_bits % 1024 != 0 ||
      modulus.size() * 8 != key_bits || modulus.front() < 0x80 ||
      modulus.back() % 2 == 0) {
    return Malformed("RSA modulus");
  }
  CS_ASSIGN_OR_RETURN(
      EvpPkeyPtr key,
      BuildRsaKey(modulus, exponent == 0 ? kDefaultExponent : exponent));
  key_ = std::shared_ptr<EVP_PKEY>(std::move(key));
  return {};
}

Status PublicArea::ReadEcc(BigEndianReader& reader) {
  curve_ = reader.U16();
  const uint16_t kdf = reader.U16();
  const ByteSpan x = reader.Sized16(kMaxPublicSize);
  const ByteSpan y = reader.Sized16(kMaxPublicSize);
  if (!reader.AtEnd()) return Malformed("truncated, or bytes left over");
  if (GroupName(curve_) == nullptr) {
    return Fail(ErrorCode::kWeakKey, "the curve is neither P-256 nor P-384");
  }
  const size_t field_size = FieldSize(curve_);
  if (kdf != kAlgNull) return Malformed("key derivation scheme");
  if (x.size() > field_size || y.size() > field_size) {
    return Malformed("size of a coordinate");
  }
  x_ = LeftPad(x, field_size);  // Some chips drop leading zeros.
  y_ = LeftPad(y, field_size);
  CS_ASSIGN_OR_RETURN(EvpPkeyPtr key, BuildEccKey(curve_, x_, y_));
  key_ = std::shared_ptr<EVP_PKEY>(std::move(key));
  return {};
}

EvpPkeyPtr PublicArea::ToPkey() const {
  EVP_PKEY_up_ref(key_.get());
  return EvpPkeyPtr(key_.get());
}

Result<Bytes> QualifiedName(ByteSpan parent_qualified_name, ByteSpan name) {
  const uint16_t algorithm = BigEndianReader(name).U16();
  const size_t digest_size = HashSize(algorithm);
  if (digest_size == 0 || name.size() != sizeof(algorithm) + digest_size) {
    return Malformed("not a Name");
  }
  return BigEndianWriter()
      .U16(algorithm)
      .Raw(Hash(algorithm, {parent_qualified_name, name}))
      .bytes();
}

Result<Bytes> QualifiedNameOfPrimary(uint32_t hierarchy, ByteSpan name) {
  return QualifiedName(BigEndianWriter().U32(hierarchy).bytes(), name);
}

}  // namespace countersign::tpm
