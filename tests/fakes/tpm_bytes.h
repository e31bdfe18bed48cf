// What a TPM makes, made in software: real TPMS_ATTEST bytes, signed by real
// keys, with every field open so that a test can break exactly one. FakeTpm
// and the verifier's tests are built on it. Aborts where OpenSSL fails.
#ifndef COUNTERSIGN_TESTS_FAKES_TPM_BYTES_H_
#define COUNTERSIGN_TESTS_FAKES_TPM_BYTES_H_

#include "attest/base/secret.h"
#include "attest/tpm/make_credential.h"
#include "attest/tpm/pcr_selection.h"
#include "attest/tpm/public_area.h"
#include "attest/tpm/quote.h"
#include "attest/tpm/templates.h"

namespace countersign::fakes {

// A key pair that a TPM might hold. `area.key()` is the public half only.
struct SoftKey {
  tpm::PublicArea area;
  EvpPkeyPtr key;
};

// `curve` as OpenSSL names it, e.g. "P-256".
[[nodiscard]] EvpPkeyPtr NewEccKey(const char* curve);
[[nodiscard]] EvpPkeyPtr NewRsaKey(unsigned bits);
// A public key with any modulus and exponent; nobody has the private one.
[[nodiscard]] EvpPkeyPtr RsaPublicKey(ByteSpan modulus, uint64_t exponent);

// Fresh keys as TPM2_CreatePrimary or TPM2_Create would make them from our
// templates.
[[nodiscard]] SoftKey NewEk(tpm::KeyType type);
[[nodiscard]] SoftKey NewAk(tpm::KeyType type);
[[nodiscard]] SoftKey NewSessionKey();
// A signing key (SHA-256 scheme) with the given attributes.
[[nodiscard]] SoftKey NewSigningKey(tpm::KeyType type, uint32_t attributes);

// nameAlg ‖ H(QN(EK) ‖ Name(AK)), with the EK an endorsement primary.
[[nodiscard]] Bytes QualifiedSigner(const SoftKey& ek, const SoftKey& ak);

// TPMT_SIGNATURE over `message`, ECDSA or RSASSA with SHA-256.
[[nodiscard]] Bytes Sign(const SoftKey& key, ByteSpan message);
// The other signature that also verifies: (r, n - s) on P-256.
[[nodiscard]] Bytes TwinSignature(ByteSpan tpmt_signature);

// The fields of a TPMS_ATTEST; `type` says whether the quote's or the
// certification's are written.
struct AttestFields {
  uint32_t magic = tpm::kGenerated;
  uint16_t type = tpm::kStAttestQuote;
  Bytes qualified_signer = {};
  Bytes extra_data = {};
  tpm::TpmClock clock = {
      .clock_ms = 1000, .reset_count = 1, .restart_count = 0, .safe = true};
  uint64_t firmware_version = 0x2024010100120000;
  Bytes selection = tpm::PcrSelection::Default().Encode();  // TPML
  Bytes pcr_digest = {};
  Bytes name = {};
  Bytes qualified_name = {};
};
[[nodiscard]] Bytes EncodeAttest(const AttestFields& fields);

// EncodeAttest, signed by `ak`.
[[nodiscard]] tpm::Quote SignAttest(const SoftKey& ak,
                                    const AttestFields& fields);

// What TPM2_ActivateCredential returns, or nothing if the credential is not
// for this EK and Name. Written apart from MakeCredential, on OpenSSL's own
// key derivation functions, so that each checks the other.
[[nodiscard]] std::optional<Secret> ActivateCredential(
    const SoftKey& ek, ByteSpan ak_name, const tpm::Credential& credential);

}  // namespace countersign::fakes

#endif  // COUNTERSIGN_TESTS_FAKES_TPM_BYTES_H_
