#include "attest/verifier/quote_verifier.h"

#include "attest/base/digest.h"
#include "attest/tpm/signature.h"

namespace countersign::verifier {
namespace {

constexpr uint32_t kBootPcrs = 0xff;  // PCRs 0-7, which firmware extends.

Sha256Digest PcrDigest(std::span<const Sha256Digest> values) {
  Bytes all;
  all.reserve(values.size() * sizeof(Sha256Digest));
  for (const Sha256Digest& value : values) {
    all.insert(all.end(), value.begin(), value.end());
  }
  return Sha256(all);
}

// Still what the TPM started with: all zeros or all ones. (Locality in the
// last byte of PCR 0 is no measurement either.)
bool IsUnmeasured(const Sha256Digest& value) {
  const uint8_t first = value.front();
  return (first == 0x00 || first == 0xff) &&
         std::all_of(value.begin(), value.end() - 1,
                     [first](uint8_t byte) { return byte == first; });
}

Status CheckMeasured(std::span<const Sha256Digest> values,
                     const tpm::PcrSelection& selection) {
  if ((selection.bitmap() & kBootPcrs) == 0) return {};
  size_t next = 0;
  for (const uint8_t pcr : selection.indices()) {
    const Sha256Digest& value = values[next++];
    if ((kBootPcrs >> pcr & 1) != 0 && !IsUnmeasured(value)) return {};
  }
  return Fail(ErrorCode::kPcrBankUnmeasured,
              "no boot PCR of the sha256 bank was extended");
}

}  // namespace

Result<SignedQuote> VerifyQuoteSignature(const tpm::Quote& quote,
                                         const tpm::PublicArea& ak,
                                         ByteSpan qualified_signer,
                                         const Sha256Digest& qualifying_data) {
  CS_ASSIGN_OR_RETURN(tpm::Attest attest, tpm::ParseAttest(quote.attest));
  if (attest.quote() == nullptr) {
    return Fail(ErrorCode::kNotAQuote, "a certification, not a quote");
  }
  if (!ConstantTimeEqual(attest.extra_data, qualifying_data)) {
    return Fail(ErrorCode::kDigestMismatch,
                "the quote is over other data than this statement");
  }
  if (!Equal(attest.qualified_signer, qualified_signer)) {
    return Fail(ErrorCode::kAkNotBound,
                "the quote names another Qualified Signer");
  }
  CS_RETURN_IF_ERROR(tpm::VerifySignature(ak, quote.attest, quote.signature));
  return SignedQuote(std::move(attest), Sha256(quote.attest));
}

Result<QuotedPcrs> QuotedPcrs::Verify(SignedQuote quote,
                                      std::span<const Sha256Digest> claimed,
                                      const tpm::PcrSelection& selection) {
  const tpm::QuoteInfo& quoted = *quote.attest_.quote();
  if (!selection.Matches(quoted.selection)) {
    return Fail(ErrorCode::kPcrSelectionMismatch,
                "quoted is not " + selection.ToText());
  }
  const Sha256Digest digest = PcrDigest(claimed);
  if (claimed.size() != selection.size() || !Equal(digest, quoted.pcr_digest)) {
    return Fail(ErrorCode::kPcrDigestMismatch);
  }
  CS_RETURN_IF_ERROR(CheckMeasured(claimed, selection));
  return QuotedPcrs(std::move(quote), selection,
                    {claimed.begin(), claimed.end()}, digest);
}

Result<QuotedPcrs> VerifyQuote(const tpm::Quote& quote,
                               std::span<const Sha256Digest> claimed,
                               const tpm::PublicArea& ak,
                               const ExpectedQuote& expected) {
  CS_ASSIGN_OR_RETURN(SignedQuote signed_quote,
                      VerifyQuoteSignature(quote, ak, expected.qualified_signer,
                                           expected.qualifying_data));
  return QuotedPcrs::Verify(std::move(signed_quote), claimed,
                            expected.selection);
}

}  // namespace countersign::verifier
