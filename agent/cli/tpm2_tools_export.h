// Turns a quote of a bundle into the files that tpm2-tools read, so that
// anyone can look at it with a program that is not ours.
#ifndef COUNTERSIGN_AGENT_CLI_TPM2_TOOLS_EXPORT_H_
#define COUNTERSIGN_AGENT_CLI_TPM2_TOOLS_EXPORT_H_

#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "countersign/v1/evidence.pb.h"

namespace countersign::agent {

enum class ExportedQuote : uint8_t { kAction, kSession };

struct Tpm2ToolsFiles {
  Bytes message;              // quote.msg: TPMS_ATTEST, as signed.
  Bytes signature;            // quote.sig: TPMT_SIGNATURE, as the TPM made it.
  std::string ak_pem;         // ak.pem: SubjectPublicKeyInfo.
  Bytes pcrs;                 // pcrs.bin: see EncodePcrFile.
  std::string qualification;  // qualification.hex: the statement's digest.
};

// The quote over the action's batch or over the session. Verifies nothing:
// that is for VerifyBundle, and for the tools themselves.
//   kNotFound           the bundle holds no such quote, or no device record
//   kMalformedEvidence  the device record, AK, attest or PCR values do not
//                       parse, or there are more values than selected PCRs
[[nodiscard]] Result<Tpm2ToolsFiles> ExportForTpm2Tools(
    const v1::EvidenceBundle& bundle, ExportedQuote which);

// What `tpm2_quote --pcr` writes in its default ("serialized") format and
// tpm2_checkquote --pcr reads: C structures of tss2_tpm2_types.h, one after
// the other, little-endian and padded as on x86-64:
//   TPML_PCR_SELECTION (132 bytes), u32 number of lists,
//   then lists of up to eight digests (TPML_DIGEST, 532 bytes each).
// `bitmap` selects PCRs of the sha256 bank; one value for each.
[[nodiscard]] Bytes EncodePcrFile(uint32_t bitmap,
                                  const std::vector<Sha256Digest>& values);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_TPM2_TOOLS_EXPORT_H_
