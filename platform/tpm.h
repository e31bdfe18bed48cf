// The only door to a TPM.
//
// Not thread-safe: one owner thread makes every call. Nothing behind this door
// signs a digest that a client chose: QuoteAk is for digests of statements
// that the daemon built from typed fields, and SignWithSessionKey for DPoP
// proofs of the same origin. A call may take as long as the chip does; it
// never takes for ever (kTpmTimeout).
//
// Every method can fail with
//   kTpmUnavailable, kTpmPermissionDenied, kTpmBusy   the device cannot be had
//   kTpmTimeout          no answer within the deadline
//   kTpmRetry            it kept asking to be asked later
//   kTpmProtocolError    an answer that is not TPM 2.0, or whose HMAC is wrong
//   kTpmSlotsExhausted   another program fills its memory
//   kTpmLockout          with the time left in the detail
//   kTpmCommandFailed    refused for another reason, named in the detail
// and is usable again as soon as the cause ends, without being reopened.
#ifndef COUNTERSIGN_PLATFORM_TPM_H_
#define COUNTERSIGN_PLATFORM_TPM_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "attest/base/secret.h"
#include "attest/tpm/pcr_selection.h"
#include "attest/tpm/public_area.h"
#include "attest/tpm/quote.h"
#include "attest/tpm/templates.h"

namespace countersign::platform {

struct EndorsementKey {
  tpm::KeyType type;
  tpm::PublicArea public_area;
  // DER, the key's own certificate first, then what the chip stores of its
  // issuers. Empty: the manufacturer keeps it elsewhere, or made none.
  std::vector<Bytes> certificates;
};

// An attestation key as stored on disk: useless without the TPM that made it
// and without its authorisation value.
struct AkBlob {
  tpm::KeyType type;         // Of the AK.
  tpm::KeyType parent_type;  // Of the EK.
  Bytes parent_name;         // Name of the EK it is a child of.
  Bytes public_area;         // TPMT_PUBLIC.
  Bytes private_area;        // Contents of TPM2B_PRIVATE.

  [[nodiscard]] Bytes Encode() const;
  // From disk: kStorageCorrupt unless it is exactly one blob.
  [[nodiscard]] static Result<AkBlob> Decode(ByteSpan bytes);
};

struct QuoteWithPcrs {
  tpm::Quote quote;
  // What was quoted: they hash to the quote's pcrDigest. Ascending index.
  std::vector<Sha256Digest> pcr_values;
};

using SessionKeyId = uint64_t;

struct SessionKey {
  SessionKeyId id;
  tpm::PublicArea public_area;
};

struct TpmInfo {
  std::string manufacturer;   // TPM_PT_MANUFACTURER, e.g. "INTC".
  std::string vendor_string;  // TPM_PT_VENDOR_STRING_1..4.
  uint64_t firmware_version = 0;
  bool is_software = false;  // By its own word: a hint, never a proof.
  bool owner_auth_set = false;
  bool endorsement_auth_set = false;
  bool locked_out = false;
  tpm::TpmClock clock;
};

class Tpm {
 public:
  virtual ~Tpm() = default;

  // The EKs of this TPM, ECC first, made from the TCG templates and persisted
  // where owner authorisation is at hand. The first call on a new machine can
  // take seconds. kTpmOwnerAuthRequired, or kTpmNoEk if it has none at all.
  [[nodiscard]] virtual Result<std::vector<EndorsementKey>>
  EndorsementKeys() = 0;

  // A new AK below that EK; not loaded. `auth` is 32 random bytes.
  [[nodiscard]] virtual Result<AkBlob> CreateAk(const EndorsementKey& parent,
                                                tpm::KeyType type,
                                                const Secret& auth) = 0;
  // Makes `blob` the AK of the calls below, also after a reset or reconnect.
  // Persists it where owner authorisation is at hand.
  //   kStateBelongsToOtherTpm  this TPM's EK is another one, or does not load
  //   it
  [[nodiscard]] virtual Status LoadAk(const AkBlob& blob,
                                      const Secret& auth) = 0;
  // Forgets the loaded AK and takes it out of the TPM's persistent memory: it
  // was replaced, or never enrolled.
  [[nodiscard]] virtual Status ForgetAk() = 0;

  // TPM2_ActivateCredential with the loaded AK and its EK. Contents of
  // TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET.
  //   kCredentialActivationFailed  made for another AK or EK, or changed
  [[nodiscard]] virtual Result<Secret> ActivateCredential(
      ByteSpan id_object, ByteSpan encrypted_secret) = 0;

  // Quotes `selection` with the loaded AK over `statement_digest`.
  //   kNotEnrolled  no AK is loaded
  //   kPcrChanged   the PCRs changed during each of five tries
  [[nodiscard]] virtual Result<QuoteWithPcrs> QuoteAk(
      const Sha256Digest& statement_digest,
      const tpm::PcrSelection& selection) = 0;

  // A P-256 key of the NULL hierarchy with random unique and auth values. It
  // lives until it is destroyed, the TPM resets (kTpmReset from then on) or
  // this object goes.
  [[nodiscard]] virtual Result<SessionKey> CreateSessionKey() = 0;
  // TPM2_Certify of it with the loaded AK. kNotFound: no such key.
  [[nodiscard]] virtual Result<tpm::Quote> CertifySessionKey(
      SessionKeyId id, const Sha256Digest& statement_digest) = 0;
  // ECDSA over a SHA-256 digest: r ‖ s, 32 bytes each. kNotFound, kTpmReset.
  [[nodiscard]] virtual Result<Bytes> SignWithSessionKey(
      SessionKeyId id, const Sha256Digest& digest) = 0;
  virtual void DestroySessionKey(SessionKeyId id) = 0;

  [[nodiscard]] virtual Result<TpmInfo> Info() = 0;
};

// The EK to enroll with: a certified ECC one, else a certified RSA one, else
// ECC, else what there is. `keys` is not empty.
[[nodiscard]] const EndorsementKey& PreferredEk(
    std::span<const EndorsementKey> keys);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_TPM_H_
