#include "platform/esys/session_key.h"

#include "attest/base/digest.h"
#include "platform/esys/esys_error.h"

namespace countersign::platform {
namespace {

constexpr size_t kAuthSize = 32;
constexpr size_t kCoordinateSize = 32;

Result<Sha256Digest> RandomUnique() {
  return DigestFrom(RandomBytes(kAuthSize), "unique");
}

Status AppendPadded(const TPM2B_ECC_PARAMETER& value, Bytes& out) {
  if (value.size > kCoordinateSize) {
    return Fail(ErrorCode::kTpmProtocolError, "TPM2_Sign: signature too long");
  }
  out.insert(out.end(), kCoordinateSize - value.size, 0);
  out.insert(out.end(), value.buffer, value.buffer + value.size);
  return {};
}

}  // namespace

Result<SavedSessionKey> CreateSavedSessionKey(
    EsysConnection& connection, const AttestationKey& ak,
    std::chrono::milliseconds create_timeout) {
  CS_ASSIGN_OR_RETURN(const Sha256Digest unique, RandomUnique());
  CS_ASSIGN_OR_RETURN(const TPM2B_PUBLIC area,
                      ToEsysPublic(tpm::SessionKeyTemplate(unique)));
  Secret auth(RandomBytes(kAuthSize));
  TPM2B_SENSITIVE_CREATE sensitive{};
  CS_ASSIGN_OR_RETURN(sensitive.sensitive.userAuth,
                      ToSized(auth.Expose(), &TPM2B_AUTH::buffer));
  CS_RETURN_IF_ERROR(
      SetEncryption(connection, ak.session(), {.command = true}));
  const LongDeadline patience(connection.link(), create_timeout);
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  ESYS_TR tr = ESYS_TR_NONE;
  TPM2B_PUBLIC* raw = nullptr;
  const TSS2_RC rc =
      Esys_CreatePrimary(connection.esys(), ESYS_TR_RH_NULL, ESYS_TR_PASSWORD,
                         ak.session().tr(), ESYS_TR_NONE, &sensitive, &area,
                         &outside, &pcrs, &tr, &raw, nullptr, nullptr, nullptr);
  explicit_bzero(&sensitive, sizeof(sensitive));
  const EsysPtr<TPM2B_PUBLIC> made(raw);
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_CreatePrimary"));
  const EsysObject object(connection, tr, EsysObject::Kind::kTransient);
  CS_ASSIGN_OR_RETURN(auto public_area, FromEsysPublic(*made));
  TPMS_CONTEXT* saved = nullptr;
  const TSS2_RC save = Esys_ContextSave(connection.esys(), tr, &saved);
  const EsysPtr<TPMS_CONTEXT> context(saved);
  CS_RETURN_IF_ERROR(connection.Check(save, "TPM2_ContextSave"));
  return SavedSessionKey{*context, std::move(public_area), std::move(auth)};
}

Result<EsysObject> LoadSavedSessionKey(EsysConnection& connection,
                                       const SavedSessionKey& key) {
  ESYS_TR tr = ESYS_TR_NONE;
  const TSS2_RC rc = Esys_ContextLoad(connection.esys(), &key.context, &tr);
  if (IsParameterError(rc)) {
    return Fail(ErrorCode::kTpmReset, "the key went with the TPM's reset");
  }
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_ContextLoad"));
  EsysObject object(connection, tr, EsysObject::Kind::kTransient);
  CS_ASSIGN_OR_RETURN(const TPM2B_AUTH auth,
                      ToSized(key.auth.Expose(), &TPM2B_AUTH::buffer));
  CS_RETURN_IF_ERROR(connection.Check(
      Esys_TR_SetAuth(connection.esys(), tr, &auth), "Esys_TR_SetAuth"));
  return object;
}

Result<Bytes> SignWithLoadedKey(EsysConnection& connection,
                                const EsysObject& key, const AttestationKey& ak,
                                const Sha256Digest& digest) {
  CS_RETURN_IF_ERROR(
      SetEncryption(connection, ak.session(), {.command = true}));
  CS_ASSIGN_OR_RETURN(const TPM2B_DIGEST to_sign,
                      ToSized(digest, &TPM2B_DIGEST::buffer));
  const TPMT_SIG_SCHEME scheme_of_key{TPM2_ALG_NULL, {}};
  // An empty ticket: the key is unrestricted, so the TPM does not ask where
  // the digest comes from.
  TPMT_TK_HASHCHECK no_ticket{};
  no_ticket.tag = TPM2_ST_HASHCHECK;
  no_ticket.hierarchy = TPM2_RH_NULL;
  TPMT_SIGNATURE* raw = nullptr;
  const TSS2_RC rc =
      Esys_Sign(connection.esys(), key.tr(), ak.session().tr(), ESYS_TR_NONE,
                ESYS_TR_NONE, &to_sign, &scheme_of_key, &no_ticket, &raw);
  const EsysPtr<TPMT_SIGNATURE> signature(raw);
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_Sign"));
  if (signature->sigAlg != TPM2_ALG_ECDSA) {
    return Fail(ErrorCode::kTpmProtocolError, "TPM2_Sign: not ECDSA");
  }
  Bytes joined;
  CS_RETURN_IF_ERROR(
      AppendPadded(signature->signature.ecdsa.signatureR, joined));
  CS_RETURN_IF_ERROR(
      AppendPadded(signature->signature.ecdsa.signatureS, joined));
  return joined;
}

}  // namespace countersign::platform
