#include "agent/daemon/tpm_queue.h"

#include "attest/tpm/attest.h"

namespace countersign::agent {

void TpmQueue::Note(const Error* error) {
  used_ = true;
  if (error == nullptr) {
    last_error_.reset();
  } else {
    last_error_ = *error;
  }
}

Result<ClockedQuote> QuoteStatement(platform::Tpm& tpm,
                                    const Sha256Digest& statement_digest,
                                    const tpm::PcrSelection& selection) {
  CS_ASSIGN_OR_RETURN(const platform::QuoteWithPcrs quoted,
                      tpm.QuoteAk(statement_digest, selection));
  const auto attest = tpm::ParseAttest(quoted.quote.attest);
  if (!attest.has_value() || attest->quote() == nullptr ||
      !Equal(attest->extra_data, statement_digest)) {
    return Fail(ErrorCode::kTpmProtocolError,
                "the TPM's quote is not over this statement");
  }
  ClockedQuote result;
  result.clock = attest->clock;
  result.quote.set_attest(AsString(quoted.quote.attest));
  result.quote.set_signature(AsString(quoted.quote.signature));
  for (const Sha256Digest& value : quoted.pcr_values) {
    result.quote.add_pcr_values(AsString(value));
  }
  return result;
}

}  // namespace countersign::agent
