// The first half of every appraisal: a statement, hashed as the bytes that
// came, and a quote over that digest by the device's AK.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_QUOTED_STATEMENT_H_
#define COUNTERSIGN_ATTEST_VERIFIER_QUOTED_STATEMENT_H_

#include "attest/statement/statement.h"
#include "attest/verifier/known_device.h"
#include "attest/verifier/quote_verifier.h"

namespace countersign::verifier {

// The statement's bytes may be parsed now: their signature holds.
struct QuotedStatement {
  Sha256Digest digest;
  SignedQuote quote;
};

// Both hostile. In this order:
//   kTooLarge              statement over 32 KiB
//   kUnknownStatementType  its type is not `type`
//   then the checks of VerifyQuoteSignature
[[nodiscard]] Result<QuotedStatement> VerifyQuotedStatement(
    const v1::Statement& statement, statement::StatementType type,
    const v1::TpmQuote& quote, const KnownDevice& device);

// The claimed PCR values of `quote`, hostile: each 32 bytes, at most 24;
// else kPcrDigestMismatch. Then QuotedPcrs::Verify.
[[nodiscard]] Result<QuotedPcrs> VerifyPcrs(SignedQuote signed_quote,
                                            const v1::TpmQuote& quote,
                                            const tpm::PcrSelection& selection);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_QUOTED_STATEMENT_H_
