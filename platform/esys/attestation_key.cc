#include "platform/esys/attestation_key.h"

#include <tss2/tss2_mu.h>

#include "attest/base/digest.h"
#include "attest/tpm/attest.h"
#include "platform/esys/esys_error.h"
#include "platform/esys/pcr_reader.h"

namespace countersign::platform {
namespace {

// Our own corner of the owner's persistent handles.
constexpr uint32_t kAkFirst = 0x81004350;
constexpr uint32_t kAkLast = 0x8100435f;

constexpr int kPcrTries = 5;
constexpr TPMT_SIG_SCHEME kSchemeOfKey{TPM2_ALG_NULL, {}};

Status SetAuth(EsysConnection& connection, const EsysObject& object,
               const Secret& auth) {
  CS_ASSIGN_OR_RETURN(TPM2B_AUTH value,
                      ToSized(auth.Expose(), &TPM2B_AUTH::buffer));
  Status set =
      connection.Check(Esys_TR_SetAuth(connection.esys(), object.tr(), &value),
                       "Esys_TR_SetAuth");
  explicit_bzero(&value, sizeof(value));
  return set;
}

Result<EsysObject> LoadKey(EsysConnection& connection, const EsysKey& ek,
                           const AkBlob& blob) {
  CS_ASSIGN_OR_RETURN(const TPM2B_PUBLIC area, ToEsysPublic(blob.public_area));
  CS_ASSIGN_OR_RETURN(const TPM2B_PRIVATE secret_area,
                      ToSized(blob.private_area, &TPM2B_PRIVATE::buffer));
  CS_ASSIGN_OR_RETURN(const EsysObject policy,
                      AuthorizeEk(connection, ek.object));
  ESYS_TR tr = ESYS_TR_NONE;
  const TSS2_RC rc =
      Esys_Load(connection.esys(), ek.object.tr(), policy.tr(), ESYS_TR_NONE,
                ESYS_TR_NONE, &secret_area, &area, &tr);
  if (IsParameterError(rc)) {
    return Fail(ErrorCode::kStateBelongsToOtherTpm,
                "the TPM's endorsement key does not load the stored key");
  }
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_Load"));
  return EsysObject(connection, tr, EsysObject::Kind::kTransient);
}

Result<EsysKey> FindOrLoad(EsysConnection& connection, const EsysKey& ek,
                           const AkBlob& blob) {
  CS_ASSIGN_OR_RETURN(tpm::PublicArea area,
                      tpm::PublicArea::Parse(blob.public_area));
  CS_ASSIGN_OR_RETURN(std::optional<EsysKey> found,
                      FindPersistentKey(connection, kAkFirst, kAkLast,
                                        [&area](const tpm::PublicArea& other) {
                                          return other.name() == area.name();
                                        }));
  if (found.has_value()) return *std::move(found);
  CS_ASSIGN_OR_RETURN(EsysObject loaded, LoadKey(connection, ek, blob));
  EsysKey key{std::move(loaded), std::move(area)};
  CS_RETURN_IF_ERROR(PersistIfAllowed(connection, key, kAkFirst, kAkLast));
  return key;
}

Result<tpm::Quote> ToQuote(EsysConnection& connection,
                           const TPM2B_ATTEST& attest,
                           const TPMT_SIGNATURE& signature) {
  tpm::Quote quote;
  quote.attest.assign(attest.attestationData,
                      attest.attestationData + attest.size);
  quote.signature.resize(sizeof(TPMT_SIGNATURE));
  size_t size = 0;
  CS_RETURN_IF_ERROR(connection.Check(
      Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, quote.signature.data(),
                                     quote.signature.size(), &size),
      "TPMT_SIGNATURE"));
  quote.signature.resize(size);
  return quote;
}

// The pcrDigest of a quote over exactly what was asked for. The HMAC session
// has vouched for the bytes; this finds a TPM that misunderstood.
Result<Bytes> QuotedPcrDigest(const tpm::Quote& quote,
                              const Sha256Digest& statement_digest,
                              const tpm::PcrSelection& selection) {
  const Result<tpm::Attest> attest = tpm::ParseAttest(quote.attest);
  const tpm::QuoteInfo* info = attest.has_value() ? attest->quote() : nullptr;
  if (info == nullptr || !Equal(attest->extra_data, statement_digest) ||
      !selection.Matches(info->selection)) {
    return Fail(ErrorCode::kTpmProtocolError, "TPM2_Quote: not what was asked");
  }
  return info->pcr_digest;
}

}  // namespace

Result<AkBlob> CreateAkBlob(EsysConnection& connection, const EsysKey& ek,
                            tpm::KeyType ek_type, tpm::KeyType type,
                            const Secret& auth) {
  CS_ASSIGN_OR_RETURN(const TPM2B_PUBLIC area,
                      ToEsysPublic(tpm::AkTemplate(type)));
  CS_ASSIGN_OR_RETURN(const EsysObject policy,
                      AuthorizeEk(connection, ek.object));
  CS_RETURN_IF_ERROR(
      SetEncryption(connection, policy, {.command = true, .response = true}));
  TPM2B_SENSITIVE_CREATE sensitive{};
  CS_ASSIGN_OR_RETURN(sensitive.sensitive.userAuth,
                      ToSized(auth.Expose(), &TPM2B_AUTH::buffer));
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  TPM2B_PRIVATE* raw_private = nullptr;
  TPM2B_PUBLIC* raw_public = nullptr;
  const TSS2_RC rc =
      Esys_Create(connection.esys(), ek.object.tr(), policy.tr(), ESYS_TR_NONE,
                  ESYS_TR_NONE, &sensitive, &area, &outside, &pcrs,
                  &raw_private, &raw_public, nullptr, nullptr, nullptr);
  explicit_bzero(&sensitive, sizeof(sensitive));
  const EsysPtr<TPM2B_PRIVATE> private_area(raw_private);
  const EsysPtr<TPM2B_PUBLIC> public_area(raw_public);
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_Create"));
  CS_ASSIGN_OR_RETURN(const auto made, FromEsysPublic(*public_area));
  return AkBlob{
      type, ek_type, ek.public_area.name(), made.bytes(),
      Bytes(private_area->buffer, private_area->buffer + private_area->size)};
}

// Order matters on a chip with three slots: the EK is loaded while the AK is
// and while the session starts, then goes.
Result<std::unique_ptr<AttestationKey>> AttestationKey::Acquire(
    EsysConnection& connection, const AkBlob& blob, const Secret& auth,
    std::chrono::milliseconds create_timeout) {
  CS_ASSIGN_OR_RETURN(const EsysKey ek,
                      AcquireEk(connection, blob.parent_type, create_timeout));
  if (ek.public_area.name() != blob.parent_name) {
    return Fail(ErrorCode::kStateBelongsToOtherTpm,
                "the stored key was made below the endorsement key " +
                    ToHex(blob.parent_name) + ", this TPM has " +
                    ToHex(ek.public_area.name()));
  }
  CS_ASSIGN_OR_RETURN(EsysKey key, FindOrLoad(connection, ek, blob));
  CS_RETURN_IF_ERROR(SetAuth(connection, key.object, auth));
  CS_ASSIGN_OR_RETURN(
      EsysObject session,
      StartSaltedSession(connection, ek.object, SessionType::kHmac));
  return std::unique_ptr<AttestationKey>(
      new AttestationKey(connection, std::move(key), std::move(session)));
}

// We know the AK's authorisation value. A TPM that says otherwise got a
// command that was changed on its way: a new session shows.
Status AttestationKey::CheckSigned(TSS2_RC rc, std::string_view command) {
  Status status = connection_.Check(rc, command);
  if (IsAuthFailure(rc)) connection_.Distrust();
  return status;
}

Result<tpm::Quote> AttestationKey::QuoteOnce(
    const Sha256Digest& statement_digest, const tpm::PcrSelection& selection) {
  CS_RETURN_IF_ERROR(SetEncryption(connection_, session_,
                                   {.command = true, .response = true}));
  CS_ASSIGN_OR_RETURN(const TPM2B_DATA qualifying,
                      ToSized(statement_digest, &TPM2B_DATA::buffer));
  const TPML_PCR_SELECTION pcrs = ToEsysSelection(selection.bitmap());
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  const TSS2_RC rc =
      Esys_Quote(connection_.esys(), key_.object.tr(), session_.tr(),
                 ESYS_TR_NONE, ESYS_TR_NONE, &qualifying, &kSchemeOfKey, &pcrs,
                 &raw_attest, &raw_signature);
  const EsysPtr<TPM2B_ATTEST> attest(raw_attest);
  const EsysPtr<TPMT_SIGNATURE> signature(raw_signature);
  CS_RETURN_IF_ERROR(CheckSigned(rc, "TPM2_Quote"));
  return ToQuote(connection_, *attest, *signature);
}

Result<QuoteWithPcrs> AttestationKey::Quote(
    const Sha256Digest& statement_digest, const tpm::PcrSelection& selection) {
  if (known_pcrs_.has_value() && known_pcrs_->selection != selection) {
    known_pcrs_.reset();
  }
  // A first try with remembered values is not one of the five.
  for (int tries = known_pcrs_.has_value() ? -1 : 0; tries < kPcrTries;
       ++tries) {
    if (!known_pcrs_.has_value()) {
      CS_ASSIGN_OR_RETURN(auto values, ReadPcrs(connection_, selection));
      const Sha256Digest digest = DigestOfPcrs(values);
      known_pcrs_ = KnownPcrs{selection, std::move(values), digest};
    }
    CS_ASSIGN_OR_RETURN(tpm::Quote quote,
                        QuoteOnce(statement_digest, selection));
    CS_ASSIGN_OR_RETURN(const Bytes quoted,
                        QuotedPcrDigest(quote, statement_digest, selection));
    if (Equal(quoted, known_pcrs_->digest)) {
      return QuoteWithPcrs{std::move(quote), known_pcrs_->values};
    }
    known_pcrs_.reset();
  }
  return Fail(ErrorCode::kPcrChanged, selection.ToText());
}

Result<tpm::Quote> AttestationKey::Certify(
    const EsysObject& key, const EsysObject& key_session,
    const Sha256Digest& statement_digest) {
  CS_RETURN_IF_ERROR(SetEncryption(connection_, session_,
                                   {.command = true, .response = true}));
  CS_ASSIGN_OR_RETURN(const TPM2B_DATA qualifying,
                      ToSized(statement_digest, &TPM2B_DATA::buffer));
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  const TSS2_RC rc =
      Esys_Certify(connection_.esys(), key.tr(), key_.object.tr(),
                   key_session.tr(), session_.tr(), ESYS_TR_NONE, &qualifying,
                   &kSchemeOfKey, &raw_attest, &raw_signature);
  const EsysPtr<TPM2B_ATTEST> attest(raw_attest);
  const EsysPtr<TPMT_SIGNATURE> signature(raw_signature);
  CS_RETURN_IF_ERROR(CheckSigned(rc, "TPM2_Certify"));
  return ToQuote(connection_, *attest, *signature);
}

Result<Secret> AttestationKey::Activate(const EsysKey& ek, ByteSpan id_object,
                                        ByteSpan encrypted_secret) {
  CS_ASSIGN_OR_RETURN(const TPM2B_ID_OBJECT id,
                      ToSized(id_object, &TPM2B_ID_OBJECT::credential));
  CS_ASSIGN_OR_RETURN(
      const TPM2B_ENCRYPTED_SECRET secret,
      ToSized(encrypted_secret, &TPM2B_ENCRYPTED_SECRET::secret));
  CS_ASSIGN_OR_RETURN(const EsysObject policy,
                      AuthorizeEk(connection_, ek.object));
  CS_RETURN_IF_ERROR(SetEncryption(connection_, session_, {.response = true}));
  TPM2B_DIGEST* raw = nullptr;
  const TSS2_RC rc = Esys_ActivateCredential(
      connection_.esys(), key_.object.tr(), ek.object.tr(), session_.tr(),
      policy.tr(), ESYS_TR_NONE, &id, &secret, &raw);
  const EsysPtr<TPM2B_DIGEST> opened(raw);
  // The reference TPM calls an RSA secret that does not decrypt a "failure". It
  // is not that of the TPM, which has just answered other commands.
  if (IsParameterError(rc) || rc == TPM2_RC_FAILURE) {
    return Fail(ErrorCode::kCredentialActivationFailed,
                ErrorFromRc(rc, "TPM2_ActivateCredential").detail);
  }
  CS_RETURN_IF_ERROR(connection_.Check(rc, "TPM2_ActivateCredential"));
  Secret result(Bytes(opened->buffer, opened->buffer + opened->size));
  explicit_bzero(opened.get(), sizeof(TPM2B_DIGEST));
  return result;
}

Status AttestationKey::Evict() {
  if (!key_.object.persistent()) return {};
  ESYS_TR gone = ESYS_TR_NONE;
  CS_RETURN_IF_ERROR(connection_.Check(
      Esys_EvictControl(connection_.esys(), ESYS_TR_RH_OWNER, key_.object.tr(),
                        ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 0, &gone),
      "TPM2_EvictControl"));
  key_.object = EsysObject();
  return {};
}

}  // namespace countersign::platform
