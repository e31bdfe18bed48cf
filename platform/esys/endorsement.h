// Endorsement keys in the TPM: finding, making, authorising, and their
// certificates.
#ifndef COUNTERSIGN_PLATFORM_ESYS_ENDORSEMENT_H_
#define COUNTERSIGN_PLATFORM_ESYS_ENDORSEMENT_H_

#include <functional>
#include <optional>

#include "attest/tpm/templates.h"
#include "platform/esys/esys_connection.h"

namespace countersign::platform {

// The first persistent key between the handles whose public area `wanted`
// says yes to. Handles that cannot be read as a key are passed over.
[[nodiscard]] Result<std::optional<EsysKey>> FindPersistentKey(
    EsysConnection& connection, uint32_t first, uint32_t last,
    const std::function<bool(const tpm::PublicArea&)>& wanted);

// Makes `key` persistent at a free handle between the two, and holds that one
// instead. Where owner authorisation is set, or there is no room, the key
// stays as it is: an error only if the TPM fails.
[[nodiscard]] Status PersistIfAllowed(EsysConnection& connection, EsysKey& key,
                                      uint32_t first, uint32_t last);

// The EK of `type`: the persistent one made from the TCG template, else a new
// one, persisted if that is allowed.
//   kTpmOwnerAuthRequired  endorsement authorisation is set
//   kTpmNoEk               the TPM does not make keys of this type
[[nodiscard]] Result<EsysKey> AcquireEk(
    EsysConnection& connection, tpm::KeyType type,
    std::chrono::milliseconds create_timeout);

enum class SessionType { kHmac, kPolicy };

// A session salted to `key`, with AES-128-CFB for parameters.
[[nodiscard]] Result<EsysObject> StartSaltedSession(EsysConnection& connection,
                                                    const EsysObject& key,
                                                    SessionType type);
// Which way parameters travel encrypted in the next command.
struct Encrypt {
  bool command = false;
  bool response = false;
};
[[nodiscard]] Status SetEncryption(EsysConnection& connection,
                                   const EsysObject& session, Encrypt encrypt);

// A policy session in which `ek` may be used once: its policy is
// PolicySecret(TPM_RH_ENDORSEMENT). kTpmOwnerAuthRequired.
[[nodiscard]] Result<EsysObject> AuthorizeEk(EsysConnection& connection,
                                             const EsysObject& ek);

// Every certificate in the TPM's NV memory where the TCG EK Credential Profile
// puts them, DER. What cannot be read or parsed is passed over.
[[nodiscard]] Result<std::vector<Bytes>> ReadCertificates(
    EsysConnection& connection);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_ENDORSEMENT_H_
