// Checks an endorsement certificate chain to configured manufacturer roots.
// Never fetches anything: URLs in a certificate (AIA, CRL) are not followed.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_EK_CHAIN_VERIFIER_H_
#define COUNTERSIGN_ATTEST_VERIFIER_EK_CHAIN_VERIFIER_H_

#include "attest/tpm/public_area.h"

namespace countersign::verifier {

inline constexpr size_t kMaxCertificates = 8;
inline constexpr size_t kMaxCertificateSize = 8 * 1024;

// The manufacturers' certificates that the operator trusts, and revocation
// lists that the operator fetched. Both configuration, not evidence.
//
// An issuer without a list revokes nothing. A list past its nextUpdate still
// counts: what it names is revoked, and no enrollment waits for an operator
// who is late with the next (RFC 5280 6.3.3 leaves that to policy). A list
// that is not valid yet, or that its issuer has not signed, refuses all
// certificates of that issuer.
class EkTrust {
 public:
  EkTrust() = default;  // Trusts nothing.

  // kConfigInvalid naming the position of what is not exactly one
  // certificate or list in DER.
  [[nodiscard]] static Result<EkTrust> FromDer(std::span<const Bytes> roots,
                                               std::span<const Bytes> crls);

  [[nodiscard]] X509_STORE* store() const { return store_.get(); }
  [[nodiscard]] bool has_crls() const { return has_crls_; }

 private:
  std::shared_ptr<X509_STORE> store_;
  bool has_crls_ = false;
};

// What a certified EK says of its TPM (TCG EK Credential Profile 2.5 §3.2.9).
// Text is from the certificate: print it through Printable.
struct EkIdentity {
  std::string root_subject;  // Of the trusted root, RFC 2253.
  std::string manufacturer;  // e.g. "id:494E5443"; empty if not named.
  std::string model;
  std::string version;
};

// Checks `chain`, hostile: DER, the EK's certificate first, then intermediate
// ones in any order. `now_ms` since 1970. In this order:
//   kEkCertMissing          the chain is empty
//   kCertLimits             number or size of certificates, RSA above 4096
//   kMalformedEvidence      not exactly one certificate in DER
//   kWeakKey                a key in the chain (tpm::CheckKeyStrength), or
//                           one of an unknown algorithm: RSAES-OAEP, as TPM
//                           1.2 certificates have it, is not read
//   kEkCertMismatch         the first one's key is not `ek`
//   kEkCertUnknownCritical  a critical extension that is not understood
//   kEkCertUsage            CA:TRUE, or no tcg-kp-EKCertificate usage
//   kEkCertExpired, kEkCertNotYetValid   of any certificate up to the root
//   kEkCertRevoked, kEkCertWeakSignature of any below the root
//   kEkCertUntrusted        does not lead to a root, or a signature is bad
[[nodiscard]] Result<EkIdentity> VerifyEkChain(const tpm::PublicArea& ek,
                                               std::span<const Bytes> chain,
                                               const EkTrust& trust,
                                               int64_t now_ms);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_EK_CHAIN_VERIFIER_H_
