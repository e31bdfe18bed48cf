// Appraises a TPM quote. Pure: no TPM, clock, file or socket; may run on many
// threads.
//
// In two steps, since a service consumes its nonce between them: whose quote
// this is and what it is over, then what the PCRs say. VerifyQuote does both.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_QUOTE_VERIFIER_H_
#define COUNTERSIGN_ATTEST_VERIFIER_QUOTE_VERIFIER_H_

#include "attest/tpm/attest.h"
#include "attest/tpm/public_area.h"

namespace countersign::verifier {

// A quote that the AK signed over the expected data. Only
// VerifyQuoteSignature makes one.
class SignedQuote {
 public:
  // SHA-256 of the attest bytes: what to store against replay. Signature
  // bytes would not do, since a second signature verifies too.
  [[nodiscard]] const Sha256Digest& attest_sha256() const {
    return attest_sha256_;
  }
  [[nodiscard]] const tpm::TpmClock& clock() const { return attest_.clock; }
  [[nodiscard]] uint64_t firmware_version() const {
    return attest_.firmware_version;
  }

 private:
  friend Result<SignedQuote> VerifyQuoteSignature(const tpm::Quote&,
                                                  const tpm::PublicArea&,
                                                  ByteSpan,
                                                  const Sha256Digest&);
  friend class QuotedPcrs;
  SignedQuote(tpm::Attest attest, const Sha256Digest& attest_sha256)
      : attest_(std::move(attest)), attest_sha256_(attest_sha256) {}

  tpm::Attest attest_;
  Sha256Digest attest_sha256_;
};

// Checks that `ak` quoted `qualifying_data`.
//   quote             hostile
//   ak                bound to a trusted EK by credential activation
//   qualified_signer  of the registered AK
//   qualifying_data   digest of the statement, computed here
// In this order; the first that fails is the error:
//   kMalformedEvidence     attest over 1024 bytes, truncated, bytes left over
//   kQuoteNotTpmGenerated  magic
//   kNotAQuote             type
//   kDigestMismatch        extraData is not exactly qualifying_data
//   kAkNotBound            qualifiedSigner is not the registered one
//   kBadSignature          the signature does not verify under ak
// TPM 2.0 rev 1.59: Part 3 §18.4, Part 2 §10.12.12.
[[nodiscard]] Result<SignedQuote> VerifyQuoteSignature(
    const tpm::Quote& quote, const tpm::PublicArea& ak,
    ByteSpan qualified_signer, const Sha256Digest& qualifying_data);

// PCR values that a TPM quoted: holding one means that every check passed.
class QuotedPcrs {
 public:
  // Checks the claimed values against a signed quote.
  //   claimed    hostile; one digest per selected PCR, ascending index
  //   selection  the PCRs that were asked for
  // In this order:
  //   kPcrSelectionMismatch  quoted banks or indices are not `selection`
  //   kPcrDigestMismatch     SHA-256(claimed…) is not pcrDigest
  //   kPcrBankUnmeasured     no boot PCR (0-7) of the selection was extended
  [[nodiscard]] static Result<QuotedPcrs> Verify(
      SignedQuote quote, std::span<const Sha256Digest> claimed,
      const tpm::PcrSelection& selection);

  [[nodiscard]] const Sha256Digest& attest_sha256() const {
    return quote_.attest_sha256();
  }
  [[nodiscard]] const tpm::TpmClock& clock() const { return quote_.clock(); }
  [[nodiscard]] uint64_t firmware_version() const {
    return quote_.firmware_version();
  }
  [[nodiscard]] const tpm::PcrSelection& selection() const {
    return selection_;
  }
  // One for each selected PCR, ascending.
  [[nodiscard]] const std::vector<Sha256Digest>& values() const {
    return values_;
  }
  [[nodiscard]] const Sha256Digest& pcr_digest() const { return pcr_digest_; }

 private:
  QuotedPcrs(SignedQuote quote, const tpm::PcrSelection& selection,
             std::vector<Sha256Digest> values, const Sha256Digest& pcr_digest)
      : quote_(std::move(quote)),
        selection_(selection),
        values_(std::move(values)),
        pcr_digest_(pcr_digest) {}

  SignedQuote quote_;
  tpm::PcrSelection selection_;
  std::vector<Sha256Digest> values_;
  Sha256Digest pcr_digest_;
};

struct ExpectedQuote {
  Sha256Digest qualifying_data;  // Digest of the statement, computed here.
  Bytes qualified_signer;        // Of the registered AK.
  tpm::PcrSelection selection = tpm::PcrSelection::Default();
};

// VerifyQuoteSignature, then QuotedPcrs::Verify.
[[nodiscard]] Result<QuotedPcrs> VerifyQuote(
    const tpm::Quote& quote, std::span<const Sha256Digest> claimed,
    const tpm::PublicArea& ak, const ExpectedQuote& expected);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_QUOTE_VERIFIER_H_
