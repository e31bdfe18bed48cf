// Strict reading of TPMS_ATTEST: the structure that a TPM signs in a quote or
// a certification. Reading proves nothing: the verifier checks the signature
// over the very bytes that were read.
#ifndef COUNTERSIGN_ATTEST_TPM_ATTEST_H_
#define COUNTERSIGN_ATTEST_TPM_ATTEST_H_

#include <variant>

#include "attest/tpm/pcr_selection.h"
#include "attest/tpm/quote.h"

namespace countersign::tpm {

// TPMS_QUOTE_INFO (Part 2 §10.12.4).
struct QuoteInfo {
  std::vector<PcrBank> selection;
  Bytes pcr_digest;
};

// TPMS_CERTIFY_INFO (Part 2 §10.12.3).
struct CertifyInfo {
  Bytes name;
  Bytes qualified_name;
};

// TPMS_ATTEST (Part 2 §10.12.12).
struct Attest {
  Bytes qualified_signer;
  Bytes extra_data;  // The qualifying data given to the TPM.
  TpmClock clock;
  uint64_t firmware_version = 0;
  std::variant<QuoteInfo, CertifyInfo> attested;

  // The part for its type, or nullptr.
  [[nodiscard]] const QuoteInfo* quote() const {
    return std::get_if<QuoteInfo>(&attested);
  }
  [[nodiscard]] const CertifyInfo* certify() const {
    return std::get_if<CertifyInfo>(&attested);
  }
};

// Reads `attest`, hostile, at most kMaxAttestSize bytes. In this order:
//   kMalformedEvidence     too large
//   kQuoteNotTpmGenerated  magic is not ff544347
//   kNotAQuote             type is neither a quote nor a certification
//   kMalformedEvidence     truncated, a field over its bound, a flag that is
//                          neither 0 nor 1, or bytes left over
[[nodiscard]] Result<Attest> ParseAttest(ByteSpan attest);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_ATTEST_H_
