// ES256 keys (RFC 7518 §3.4): ECDSA on P-256 with SHA-256, signatures as
// r ‖ s of 32 bytes each.
//
// Nothing here picks an algorithm from what it reads: there is one. Keys are
// immutable; const functions may be called from several threads at once.
#ifndef COUNTERSIGN_ATTEST_JOSE_ES256_H_
#define COUNTERSIGN_ATTEST_JOSE_ES256_H_

#include <memory>
#include <string>
#include <string_view>

#include "attest/base/bytes.h"
#include "attest/base/openssl_ptr.h"
#include "attest/base/secret.h"
#include "attest/jose/thumbprint.h"

namespace countersign::jose {

using Es256Signature = std::array<uint8_t, 64>;

class Es256PublicKey {
 public:
  // kWeakKey: not a point of P-256. Coordinates may be hostile.
  [[nodiscard]] static Result<Es256PublicKey> FromCoordinates(ByteSpan x,
                                                              ByteSpan y);
  // The public part of any OpenSSL key; kWeakKey if it is not on P-256.
  [[nodiscard]] static Result<Es256PublicKey> FromEvpPkey(const EVP_PKEY* key);
  // A public JWK; hostile. kJwsMalformed: not JSON, members missing, a
  // private key (`d`); kJwsAlgorithm: another kty, crv, alg or use; kWeakKey.
  [[nodiscard]] static Result<Es256PublicKey> FromJwkJson(
      std::string_view json);

  [[nodiscard]] const Coordinate& x() const { return x_; }
  [[nodiscard]] const Coordinate& y() const { return y_; }
  [[nodiscard]] const std::string& thumbprint() const { return thumbprint_; }
  [[nodiscard]] std::string ToJwkJson() const { return EcJwkJson(x_, y_); }
  [[nodiscard]] std::string ToPem() const;  // SubjectPublicKeyInfo

  // For OpenSSL; immutable.
  [[nodiscard]] const std::shared_ptr<EVP_PKEY>& evp_key() const {
    return key_;
  }

  // kBadSignature unless `signature` is 64 bytes and signs `message`.
  [[nodiscard]] Status Verify(ByteSpan message, ByteSpan signature) const;

 private:
  Es256PublicKey(std::shared_ptr<EVP_PKEY> key, const Coordinate& x,
                 const Coordinate& y);

  std::shared_ptr<EVP_PKEY> key_;  // Shared since OpenSSL counts references.
  Coordinate x_;
  Coordinate y_;
  std::string thumbprint_;
};

// Whatever signs with a P-256 key: Es256Key here, a key inside a TPM elsewhere.
class Es256Signer {
 public:
  virtual ~Es256Signer() = default;
  [[nodiscard]] virtual const Es256PublicKey& public_key() const = 0;
  [[nodiscard]] virtual Result<Es256Signature> SignDigest(
      const Sha256Digest& digest) const = 0;
};

// A private key in memory. Movable, never copied or printed.
class Es256Key final : public Es256Signer {
 public:
  [[nodiscard]] static Result<Es256Key> Generate();
  // PKCS#8, unencrypted; whoever stores it guards the file. kConfigInvalid:
  // not PEM or not PKCS#8; kWeakKey: not a P-256 key.
  [[nodiscard]] static Result<Es256Key> FromPem(std::string_view pem);
  [[nodiscard]] Secret ToPem() const;

  [[nodiscard]] const Es256PublicKey& public_key() const override {
    return public_key_;
  }
  [[nodiscard]] const std::string& kid() const {
    return public_key_.thumbprint();
  }
  [[nodiscard]] Result<Es256Signature> SignDigest(
      const Sha256Digest& digest) const override;

 private:
  static Result<Es256Key> FromKey(EvpPkeyPtr key);
  Es256Key(EvpPkeyPtr key, EvpPkeyCtxPtr prepared, Es256PublicKey public_key);

  EvpPkeyPtr key_;
  EvpPkeyCtxPtr prepared_;  // Ready to sign; each signature copies it.
  Es256PublicKey public_key_;
};

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_ES256_H_
