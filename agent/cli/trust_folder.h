// Whom an offline verifier trusts, as a folder that a person can look into:
//
//   service.jwks.json  the service's public keys (needed)
//   ledger.vkey        the ledger's verifier key
//   ek-roots/*.pem     TPM manufacturers' root certificates
//
// The service's folder of that name may hold revocation lists, *.crl. Here they
// are passed over: a chain is judged as of the day of enrollment, when the
// service looked into its own, and a newer list says nothing of that day.
#ifndef COUNTERSIGN_AGENT_CLI_TRUST_FOLDER_H_
#define COUNTERSIGN_AGENT_CLI_TRUST_FOLDER_H_

#include <optional>
#include <string>

#include "attest/jose/jwk_set.h"
#include "attest/ledger/note.h"
#include "attest/verifier/ek_chain_verifier.h"

namespace countersign::agent {

struct TrustFolder {
  jose::KeySet service_keys;
  std::optional<ledger::NoteVerifier> ledger_key;
  verifier::EkTrust ek_roots;
  size_t ek_root_count = 0;
};

// Reads the folder at `path`. Strict, since a mistake here would make a
// verdict worth nothing: every file must be wholly understood.
//   kNotFound       no folder, or no service.jwks.json in it
//   kConfigInvalid  a file does not parse or holds no key, naming it; or a
//                   file that is none of the above ends in .vkey, .pem or
//                   .json: someone meant it to count
//   kTooLarge       a file over 256 KiB, or more than 256 roots
[[nodiscard]] Result<TrustFolder> LoadTrustFolder(const std::string& path);

// Every certificate of a PEM file, as DER. Text between them is allowed, as
// tools write it; kConfigInvalid for a block that is cut or not base64, or if
// there is none.
[[nodiscard]] Result<std::vector<Bytes>> CertificatesFromPem(
    std::string_view pem);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_TRUST_FOLDER_H_
