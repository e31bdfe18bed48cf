// Whether the service takes on a device with a given EK: certificate chain,
// allow-list, or neither on first use.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_EK_ADMISSION_H_
#define COUNTERSIGN_ATTEST_AUTHZ_EK_ADMISSION_H_

#include <set>

#include "attest/authz/config.h"
#include "attest/verifier/ek_chain_verifier.h"

namespace countersign::authz {

// How an EK came to be trusted, as DeviceRecord says it.
struct EkJudgement {
  std::string trust;     // "certificate", "allowlist" or "first-use".
  std::string ek_class;  // "hardware", "firmware", "virtual", "unknown".
  bool allow_listed = false;
  verifier::EkIdentity identity;  // Empty without a good certificate.
};

// Immutable: reloading makes a new one.
class EkAdmission {
 public:
  // Reads the folder of roots and revocation lists (ek_roots_folder.h) and
  // the allow-list, if there is one. kConfigInvalid names file and line.
  [[nodiscard]] static Result<EkAdmission> Load(const EnrollmentConfig& config);

  // Judges `ek` with its certificates, both hostile.
  //   the errors of VerifyEkChain  a certificate that does not hold, unless
  //                                the EK is allow-listed; under first-use
  //                                kEkCertUntrusted alone is let pass
  //   kEkNotTrusted                policy "allowlist", and not on the list
  [[nodiscard]] Result<EkJudgement> Judge(const tpm::PublicArea& ek,
                                          std::span<const Bytes> certificates,
                                          int64_t now_ms) const;

  // The certificate chain alone, as of `when_ms` (for auditors). Revocation
  // lists of today do not tell what was known then, and are not asked.
  [[nodiscard]] Result<verifier::EkIdentity> VerifyChain(
      const tpm::PublicArea& ek, std::span<const Bytes> certificates,
      int64_t when_ms) const {
    return verifier::VerifyEkChain(ek, certificates, roots_, when_ms);
  }

 private:
  EkPolicy policy_ = EkPolicy::kCertificate;
  verifier::EkTrust trust_;            // Roots and revocation lists.
  verifier::EkTrust roots_;            // The roots alone.
  std::set<Sha256Digest> allow_list_;  // SHA-256 of public areas.
};

// What kind of TPM the manufacturer of a certificate (TCG vendor ID) makes.
[[nodiscard]] std::string_view EkClassOf(std::string_view manufacturer);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_EK_ADMISSION_H_
