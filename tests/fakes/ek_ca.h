// A TPM manufacturer's certificate authority for tests: issues endorsement
// certificates as TCG profiles them, or broken in one chosen way. Aborts where
// OpenSSL fails.
#ifndef COUNTERSIGN_TESTS_FAKES_EK_CA_H_
#define COUNTERSIGN_TESTS_FAKES_EK_CA_H_

#include "attest/base/bytes.h"
#include "attest/base/openssl_ptr.h"

namespace countersign::fakes {

inline constexpr int64_t kCaNowMs = 1'750'000'000'000;  // June 2025.

struct CertificateOptions {
  std::string subject = "EK";
  long serial = 1;
  int64_t not_before_ms = kCaNowMs - 86'400'000;
  int64_t not_after_ms = kCaNowMs + 86'400'000;
  bool ca = false;
  std::string extended_usage = "2.23.133.8.1";  // Empty: no such extension.
  bool tcg_name = true;  // Critical directoryName with manufacturer and model.
  bool unknown_critical = false;  // A critical extension nobody knows.
  bool sha1 = false;              // The issuer signs with SHA-1.
  bool rsaes_oaep = false;        // The key's algorithm is id-RSAES-OAEP.
};

class EkCa {
 public:
  explicit EkCa(const std::string& name = "Root");

  // Its own certificate, DER.
  [[nodiscard]] const Bytes& certificate() const { return certificate_; }

  // A certificate for `key` (its public half), DER.
  [[nodiscard]] Bytes Issue(EVP_PKEY* key,
                            const CertificateOptions& options = {}) const;
  // An authority below this one. Its certificate is ca whatever `options` say.
  [[nodiscard]] EkCa Intermediate(const std::string& name,
                                  CertificateOptions options = {}) const;
  // Somebody who has a certificate of this authority that is not for an
  // authority, and issues certificates all the same.
  [[nodiscard]] EkCa ImpostorWith(const CertificateOptions& options) const;
  // A revocation list that names `serial`, valid around kCaNowMs, DER.
  [[nodiscard]] Bytes Crl(long serial,
                          int64_t next_update_ms = kCaNowMs + 86'400'000) const;

 private:
  EkCa(EvpPkeyPtr key, Bytes certificate);

  EvpPkeyPtr key_;
  Bytes certificate_;
};

}  // namespace countersign::fakes

#endif  // COUNTERSIGN_TESTS_FAKES_EK_CA_H_
