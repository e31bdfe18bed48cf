// TPMT_PUBLIC: the public area of an asymmetric TPM key, and the Names that
// follow from it.
//
// Holding a PublicArea means that the bytes are well formed, that nothing is
// left over, and that the key in them is a valid RSA modulus or a point on its
// curve. It says nothing about trust; attributes are what the area claims.
#ifndef COUNTERSIGN_ATTEST_TPM_PUBLIC_AREA_H_
#define COUNTERSIGN_ATTEST_TPM_PUBLIC_AREA_H_

#include <memory>

#include "attest/base/big_endian.h"
#include "attest/base/openssl_ptr.h"
#include "attest/tpm/constants.h"

namespace countersign::tpm {

class PublicArea {
 public:
  // TPMT_SYM_DEF_OBJECT; algorithm kAlgNull if there is none.
  struct Symmetric {
    uint16_t algorithm = kAlgNull;
    uint16_t key_bits = 0;
    uint16_t mode = 0;
  };
  // Signing scheme; algorithm kAlgNull if the key has none of its own.
  struct Scheme {
    uint16_t algorithm = kAlgNull;
    uint16_t hash = kAlgNull;
  };
  // What an area says beside its key.
  struct Traits {
    uint32_t attributes = 0;
    Symmetric symmetric;
    Scheme scheme;
    Bytes auth_policy;
  };

  // Reads `tpmt_public`, hostile, at most kMaxPublicSize bytes, without the
  // TPM2B size. RSA of 1024 to 4096 bits or ECC P-256/P-384, nameAlg SHA-256
  // or SHA-384.
  //   kMalformedEvidence  truncated, bytes left over, an impossible field
  //   kWeakKey            another curve or key type
  [[nodiscard]] static Result<PublicArea> Parse(ByteSpan tpmt_public);

  // The area (nameAlg SHA-256) that a TPM would have for `key`, public or
  // private, RSA or P-256/P-384.
  [[nodiscard]] static Result<PublicArea> FromKey(const EVP_PKEY* key,
                                                  const Traits& traits);

  // The exact bytes that were parsed.
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  // nameAlg ‖ H(bytes) (Part 1 §16).
  [[nodiscard]] const Bytes& name() const { return name_; }

  [[nodiscard]] uint16_t type() const { return type_; }  // kAlgRsa, kAlgEcc.
  [[nodiscard]] uint16_t name_alg() const { return name_alg_; }
  [[nodiscard]] uint32_t attributes() const { return traits_.attributes; }
  [[nodiscard]] bool HasAll(uint32_t mask) const {
    return (traits_.attributes & mask) == mask;
  }
  [[nodiscard]] bool HasAny(uint32_t mask) const {
    return (traits_.attributes & mask) != 0;
  }
  [[nodiscard]] const Bytes& auth_policy() const { return traits_.auth_policy; }
  [[nodiscard]] const Symmetric& symmetric() const { return traits_.symmetric; }
  [[nodiscard]] const Scheme& scheme() const { return traits_.scheme; }
  [[nodiscard]] uint16_t curve() const { return curve_; }  // 0 for RSA.
  [[nodiscard]] int bits() const { return EVP_PKEY_get_bits(key_.get()); }

  // The key: valid as long as this object, or a reference of its own. May be
  // used by several threads at once for verifying.
  [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }
  [[nodiscard]] EvpPkeyPtr ToPkey() const;

  // The affine coordinates of an ECC key, each padded to the field size, or
  // both empty for RSA.
  [[nodiscard]] const Bytes& x() const { return x_; }
  [[nodiscard]] const Bytes& y() const { return y_; }

 private:
  PublicArea() = default;
  // Read what follows the scheme, to the end: parameters and unique.
  [[nodiscard]] Status ReadRsa(BigEndianReader& reader);
  [[nodiscard]] Status ReadEcc(BigEndianReader& reader);

  Bytes bytes_;
  Bytes name_;
  uint16_t type_ = 0;
  uint16_t name_alg_ = 0;
  Traits traits_;
  uint16_t curve_ = 0;
  Bytes x_;
  Bytes y_;
  std::shared_ptr<EVP_PKEY> key_;
};

// The Qualified Name of a key, nameAlg ‖ H(parent ‖ Name) (Part 1 §26.5), with
// the hash of the key's own Name. Names must be of known algorithms.
[[nodiscard]] Result<Bytes> QualifiedName(ByteSpan parent_qualified_name,
                                          ByteSpan name);
// The same for a primary key: the parent is the hierarchy's handle.
[[nodiscard]] Result<Bytes> QualifiedNameOfPrimary(uint32_t hierarchy,
                                                   ByteSpan name);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_PUBLIC_AREA_H_
