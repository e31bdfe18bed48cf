#include "attest/verifier/quoted_statement.h"

namespace countersign::verifier {

Result<QuotedStatement> VerifyQuotedStatement(const v1::Statement& statement,
                                              statement::StatementType type,
                                              const v1::TpmQuote& quote,
                                              const KnownDevice& device) {
  if (statement.body().size() > statement::kMaxSessionBindingSize) {
    return Fail(ErrorCode::kTooLarge, "statement");
  }
  if (statement.type() != statement::TypeUri(type)) {
    return Fail(ErrorCode::kUnknownStatementType);
  }
  const Sha256Digest digest =
      statement::StatementDigest(type, AsBytes(statement.body()));
  CS_ASSIGN_OR_RETURN(
      SignedQuote signed_quote,
      VerifyQuoteSignature({.attest = ToBytes(AsBytes(quote.attest())),
                            .signature = ToBytes(AsBytes(quote.signature()))},
                           device.ak, device.qualified_signer, digest));
  return QuotedStatement{digest, std::move(signed_quote)};
}

Result<QuotedPcrs> VerifyPcrs(SignedQuote signed_quote,
                              const v1::TpmQuote& quote,
                              const tpm::PcrSelection& selection) {
  std::vector<Sha256Digest> claimed;
  if (quote.pcr_values_size() > tpm::kPcrCount) {
    return Fail(ErrorCode::kPcrDigestMismatch, "more values than PCRs");
  }
  for (const std::string& value : quote.pcr_values()) {
    const auto digest = DigestFrom(AsBytes(value), "PCR value");
    if (!digest) {
      return Fail(ErrorCode::kPcrDigestMismatch, digest.error().detail);
    }
    claimed.push_back(*digest);
  }
  return QuotedPcrs::Verify(std::move(signed_quote), claimed, selection);
}

}  // namespace countersign::verifier
