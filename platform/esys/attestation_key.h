// The AK in the TPM: making it, loading it, quoting and certifying with it.
#ifndef COUNTERSIGN_PLATFORM_ESYS_ATTESTATION_KEY_H_
#define COUNTERSIGN_PLATFORM_ESYS_ATTESTATION_KEY_H_

#include <memory>
#include <optional>

#include "platform/esys/endorsement.h"
#include "platform/tpm.h"

namespace countersign::platform {

// A new AK below `ek`; not loaded.
[[nodiscard]] Result<AkBlob> CreateAkBlob(EsysConnection& connection,
                                          const EsysKey& ek,
                                          tpm::KeyType ek_type,
                                          tpm::KeyType type,
                                          const Secret& auth);

// An AK ready for use on one connection, with its one salted session.
class AttestationKey {
 public:
  // kStateBelongsToOtherTpm when the TPM's EK is not the parent of `blob`, or
  // does not load it.
  [[nodiscard]] static Result<std::unique_ptr<AttestationKey>> Acquire(
      EsysConnection& connection, const AkBlob& blob, const Secret& auth,
      std::chrono::milliseconds create_timeout);

  // Values and quote that fit together. kPcrChanged.
  [[nodiscard]] Result<QuoteWithPcrs> Quote(
      const Sha256Digest& statement_digest, const tpm::PcrSelection& selection);
  // TPM2_Certify of the object `key`, authorised in `key_session`.
  [[nodiscard]] Result<tpm::Quote> Certify(
      const EsysObject& key, const EsysObject& key_session,
      const Sha256Digest& statement_digest);
  // kCredentialActivationFailed.
  [[nodiscard]] Result<Secret> Activate(const EsysKey& ek, ByteSpan id_object,
                                        ByteSpan encrypted_secret);
  // Out of persistent memory, if it is there.
  [[nodiscard]] Status Evict();

  // The session that the AK is used in; also encrypts parameters of commands
  // that need no AK.
  [[nodiscard]] const EsysObject& session() const { return session_; }
  [[nodiscard]] const tpm::PublicArea& public_area() const {
    return key_.public_area;
  }

 private:
  AttestationKey(EsysConnection& connection, EsysKey key, EsysObject session)
      : connection_(connection),
        key_(std::move(key)),
        session_(std::move(session)) {}
  [[nodiscard]] Status CheckSigned(TSS2_RC rc, std::string_view command);
  [[nodiscard]] Result<tpm::Quote> QuoteOnce(
      const Sha256Digest& statement_digest, const tpm::PcrSelection& selection);

  struct KnownPcrs {
    tpm::PcrSelection selection;
    std::vector<Sha256Digest> values;
    Sha256Digest digest;
  };

  EsysConnection& connection_;
  EsysKey key_;
  EsysObject session_;
  // What the PCRs held at the last quote. A quote whose pcrDigest fits needs
  // no reading, which would cost a second command each time.
  std::optional<KnownPcrs> known_pcrs_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_ATTESTATION_KEY_H_
