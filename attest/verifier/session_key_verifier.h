// Checks that the session's key is the one that was quoted and, if it claims
// to live in the TPM, that it does. An AK happily certifies an imported
// software key, so the certification alone says nothing.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_SESSION_KEY_VERIFIER_H_
#define COUNTERSIGN_ATTEST_VERIFIER_SESSION_KEY_VERIFIER_H_

#include "attest/tpm/quote.h"
#include "attest/verifier/known_device.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::verifier {

// What was established before the key is looked at.
struct SessionKeyContext {
  const KnownDevice& device;
  const v1::SessionBinding& binding;  // Quoted.
  const Sha256Digest& digest;         // Of the binding's statement.
  const tpm::TpmClock& quote_clock;
};

// Checks the key parts of `evidence`, hostile. For both kinds:
//   kSessionKeyMismatch       pop_x, pop_y are no point on P-256, or their
//                             RFC 7638 thumbprint is not pop_jkt; key_kind is
//                             neither "memory" nor "tpm"; a memory key with
//                             parts of a tpm key
// For a "tpm" key, in this order:
//   kMalformedEvidence        public area or attest bytes
//   kSessionKeyMismatch       public area holds another point
//   kSessionKeyMismatch       Name(public) is not pop_key_name
//   kSessionKeyAttributes     fixedTPM, fixedParent, sensitiveDataOrigin,
//                             userWithAuth and sign set; restricted and
//                             decrypt clear; ECDSA with SHA-256
//   kQuoteNotTpmGenerated     magic of the certification
//   kSessionKeyNotCertified   it is not a certification; its extraData is
//                             not the statement's digest; attested.name is
//                             not Name(public); Qualified Name is not that of
//                             a primary in the NULL hierarchy
//   kAkNotBound, kBadSignature   by another key than the device's AK
//   kStaleBoot                counters are not the quote's
[[nodiscard]] Status VerifySessionKey(const v1::SessionEvidence& evidence,
                                      const SessionKeyContext& context);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_SESSION_KEY_VERIFIER_H_
