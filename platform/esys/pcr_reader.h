// Reading PCR values.
#ifndef COUNTERSIGN_PLATFORM_ESYS_PCR_READER_H_
#define COUNTERSIGN_PLATFORM_ESYS_PCR_READER_H_

#include <vector>

#include "attest/tpm/pcr_selection.h"
#include "platform/esys/esys_connection.h"

namespace countersign::platform {

// The values of `selection`, ascending. kPcrBankUnmeasured when the TPM keeps
// no sha256 bank.
[[nodiscard]] Result<std::vector<Sha256Digest>> ReadPcrs(
    EsysConnection& connection, const tpm::PcrSelection& selection);

// What TPM2_Quote puts into pcrDigest for these values.
[[nodiscard]] Sha256Digest DigestOfPcrs(
    const std::vector<Sha256Digest>& values);

// The sha256 bank with these PCRs; bit i of `bitmap` is PCR i.
[[nodiscard]] TPML_PCR_SELECTION ToEsysSelection(uint32_t bitmap);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_PCR_READER_H_
