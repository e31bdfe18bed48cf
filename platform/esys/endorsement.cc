#include "platform/esys/endorsement.h"

#include "platform/esys/esys_error.h"

namespace countersign::platform {
namespace {

// Where the TCG registry of reserved handles puts EKs.
constexpr uint32_t kEkFirst = 0x81010001;
constexpr uint32_t kEkLast = 0x8101ffff;

bool IsEkOfType(const tpm::PublicArea& area, tpm::KeyType type) {
  const bool right_key =
      type == tpm::KeyType::kEccP256
          ? area.type() == tpm::kAlgEcc && area.curve() == tpm::kCurveP256
          : area.type() == tpm::kAlgRsa && area.bits() == 2048;
  return right_key && area.name_alg() == tpm::kAlgSha256 &&
         area.attributes() == tpm::kEkAttributes &&
         Equal(area.auth_policy(), tpm::EkAuthPolicy());
}

Result<std::optional<EsysKey>> OpenPersistentKey(EsysConnection& connection,
                                                 uint32_t handle) {
  ESYS_TR tr = ESYS_TR_NONE;
  CS_RETURN_IF_ERROR(connection.Check(
      Esys_TR_FromTPMPublic(connection.esys(), handle, ESYS_TR_NONE,
                            ESYS_TR_NONE, ESYS_TR_NONE, &tr),
      "TPM2_ReadPublic"));
  EsysObject object(connection, tr, EsysObject::Kind::kPersistent);
  TPM2B_PUBLIC* raw = nullptr;
  const TSS2_RC rc =
      Esys_ReadPublic(connection.esys(), tr, ESYS_TR_NONE, ESYS_TR_NONE,
                      ESYS_TR_NONE, &raw, nullptr, nullptr);
  const EsysPtr<TPM2B_PUBLIC> area(raw);
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_ReadPublic"));
  Result<tpm::PublicArea> parsed = FromEsysPublic(*area);
  if (!parsed.has_value()) return std::nullopt;  // Not of a kind we use.
  return EsysKey{std::move(object), *std::move(parsed)};
}

tl::unexpected<Error> EndorsementAuthNeeded() {
  return Fail(ErrorCode::kTpmOwnerAuthRequired,
              "the endorsement hierarchy has an authorisation value");
}

Result<EsysKey> CreateEk(EsysConnection& connection, tpm::KeyType type) {
  CS_ASSIGN_OR_RETURN(const TPM2B_PUBLIC area,
                      ToEsysPublic(tpm::EkTemplate(type)));
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  ESYS_TR tr = ESYS_TR_NONE;
  TPM2B_PUBLIC* raw = nullptr;
  const TSS2_RC rc = Esys_CreatePrimary(
      connection.esys(), ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
      ESYS_TR_NONE, &sensitive, &area, &outside, &pcrs, &tr, &raw, nullptr,
      nullptr, nullptr);
  const EsysPtr<TPM2B_PUBLIC> made(raw);
  if (IsParameterError(rc)) {
    return Fail(ErrorCode::kTpmNoEk, "it does not make this type of key");
  }
  if (IsAuthFailure(rc)) return EndorsementAuthNeeded();
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_CreatePrimary"));
  EsysObject object(connection, tr, EsysObject::Kind::kTransient);
  CS_ASSIGN_OR_RETURN(auto parsed, FromEsysPublic(*made));
  return EsysKey{std::move(object), std::move(parsed)};
}

}  // namespace

Result<std::optional<EsysKey>> FindPersistentKey(
    EsysConnection& connection, uint32_t first, uint32_t last,
    const std::function<bool(const tpm::PublicArea&)>& wanted) {
  CS_ASSIGN_OR_RETURN(const auto handles, connection.Handles(first, last));
  for (const uint32_t handle : handles) {
    CS_ASSIGN_OR_RETURN(std::optional<EsysKey> key,
                        OpenPersistentKey(connection, handle));
    if (key.has_value() && wanted(key->public_area)) return key;
  }
  return std::nullopt;
}

Status PersistIfAllowed(EsysConnection& connection, EsysKey& key,
                        uint32_t first, uint32_t last) {
  CS_ASSIGN_OR_RETURN(const uint32_t permanent,
                      connection.Property(TPM2_PT_PERMANENT));
  if ((permanent & TPMA_PERMANENT_OWNERAUTHSET) != 0) return {};
  CS_ASSIGN_OR_RETURN(const auto taken, connection.Handles(first, last));
  uint32_t handle = first;
  for (const uint32_t other : taken) {
    if (other == handle) ++handle;
  }
  if (handle > last) return {};
  ESYS_TR tr = ESYS_TR_NONE;
  const TSS2_RC rc = Esys_EvictControl(connection.esys(), ESYS_TR_RH_OWNER,
                                       key.object.tr(), ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, handle, &tr);
  Status persisted = connection.Check(rc, "TPM2_EvictControl");
  if (!connection.usable()) return persisted;
  if (!persisted.has_value())
    return {};  // No room: the key works all the same.
  key.object = EsysObject(connection, tr, EsysObject::Kind::kPersistent);
  return {};
}

Result<EsysKey> AcquireEk(EsysConnection& connection, tpm::KeyType type,
                          std::chrono::milliseconds create_timeout) {
  CS_ASSIGN_OR_RETURN(std::optional<EsysKey> found,
                      FindPersistentKey(connection, kEkFirst, kEkLast,
                                        [type](const tpm::PublicArea& area) {
                                          return IsEkOfType(area, type);
                                        }));
  if (found.has_value()) return *std::move(found);
  const LongDeadline patience(connection.link(), create_timeout);
  CS_ASSIGN_OR_RETURN(EsysKey made, CreateEk(connection, type));
  CS_RETURN_IF_ERROR(PersistIfAllowed(connection, made, kEkFirst, kEkLast));
  return made;
}

Result<EsysObject> StartSaltedSession(EsysConnection& connection,
                                      const EsysObject& key, SessionType type) {
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  ESYS_TR tr = ESYS_TR_NONE;
  CS_RETURN_IF_ERROR(connection.Check(
      Esys_StartAuthSession(
          connection.esys(), key.tr(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
          ESYS_TR_NONE, nullptr,
          type == SessionType::kHmac ? TPM2_SE_HMAC : TPM2_SE_POLICY,
          &symmetric, TPM2_ALG_SHA256, &tr),
      "TPM2_StartAuthSession"));
  return EsysObject(connection, tr, EsysObject::Kind::kTransient);
}

Status SetEncryption(EsysConnection& connection, const EsysObject& session,
                     Encrypt encrypt) {
  TPMA_SESSION flags = TPMA_SESSION_CONTINUESESSION;
  if (encrypt.command) flags |= TPMA_SESSION_DECRYPT;
  if (encrypt.response) flags |= TPMA_SESSION_ENCRYPT;
  return connection.Check(
      Esys_TRSess_SetAttributes(connection.esys(), session.tr(), flags, 0xff),
      "Esys_TRSess_SetAttributes");
}

Result<EsysObject> AuthorizeEk(EsysConnection& connection,
                               const EsysObject& ek) {
  CS_ASSIGN_OR_RETURN(EsysObject session,
                      StartSaltedSession(connection, ek, SessionType::kPolicy));
  const TSS2_RC rc =
      Esys_PolicySecret(connection.esys(), ESYS_TR_RH_ENDORSEMENT, session.tr(),
                        ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                        nullptr, nullptr, 0, nullptr, nullptr);
  if (IsAuthFailure(rc)) return EndorsementAuthNeeded();
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_PolicySecret"));
  return session;
}

}  // namespace countersign::platform
