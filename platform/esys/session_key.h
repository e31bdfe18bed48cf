// A session key in the TPM: kept as a saved context and loaded for each use,
// so that any number of them needs one slot.
#ifndef COUNTERSIGN_PLATFORM_ESYS_SESSION_KEY_H_
#define COUNTERSIGN_PLATFORM_ESYS_SESSION_KEY_H_

#include "platform/esys/attestation_key.h"

namespace countersign::platform {

struct SavedSessionKey {
  TPMS_CONTEXT context;
  tpm::PublicArea public_area;
  Secret auth;
};

// `ak`'s session carries the new key's authorisation value encrypted.
[[nodiscard]] Result<SavedSessionKey> CreateSavedSessionKey(
    EsysConnection& connection, const AttestationKey& ak,
    std::chrono::milliseconds create_timeout);

// The key, loaded and authorised. kTpmReset when the TPM was reset since.
[[nodiscard]] Result<EsysObject> LoadSavedSessionKey(
    EsysConnection& connection, const SavedSessionKey& key);

// r ‖ s over `digest`.
[[nodiscard]] Result<Bytes> SignWithLoadedKey(EsysConnection& connection,
                                              const EsysObject& key,
                                              const AttestationKey& ak,
                                              const Sha256Digest& digest);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_SESSION_KEY_H_
