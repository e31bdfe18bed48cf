// Reading one certificate, as far as judging an EK's needs it. Private to
// attest/verifier.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_CERTIFICATE_H_
#define COUNTERSIGN_ATTEST_VERIFIER_CERTIFICATE_H_

#include "attest/base/bytes.h"
#include "attest/base/openssl_ptr.h"

namespace countersign::verifier {

// Exactly one certificate, or nullptr if `der` is anything else.
[[nodiscard]] X509Ptr ParseCertificate(ByteSpan der);

// RFC 2253 text of a name.
[[nodiscard]] std::string NameText(const X509_NAME* name);

// The attribute with dotted `oid` in a directoryName of the subject
// alternative name; empty if there is none.
[[nodiscard]] std::string AlternativeNameAttribute(const X509* certificate,
                                                   const char* oid);

// True if the extended key usage lists dotted `oid`.
[[nodiscard]] bool HasExtendedUsage(const X509* certificate, const char* oid);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_CERTIFICATE_H_
