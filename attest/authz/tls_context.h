// The server's side of TLS: certificate, key and what we negotiate.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_TLS_CONTEXT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_TLS_CONTEXT_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::authz {

// TLS 1.2 with forward secrecy and AEAD only, or 1.3; no compression, no
// renegotiation, no early data; ALPN http/1.1. Immutable and shared.
class TlsContext {
 public:
  // Reads PEM files: the certificate chain, leaf first, and its private key.
  // kConfigInvalid names the file if either is unreadable or they differ.
  [[nodiscard]] static Result<TlsContext> Load(const std::string& certificate,
                                               const std::string& key);

  [[nodiscard]] SSL_CTX* get() const { return context_.get(); }

 private:
  explicit TlsContext(std::shared_ptr<SSL_CTX> context)
      : context_(std::move(context)) {}
  std::shared_ptr<SSL_CTX> context_;
};

// The channel binding of RFC 9266, 32 bytes, after the handshake; empty under
// TLS 1.2, where this exporter does not bind the handshake.
[[nodiscard]] Bytes TlsExporter(SSL* ssl);

// How long what MakePrivateTls makes is good for.
inline constexpr int kPrivateTlsDays = 825;

// For `init` without a certificate at hand: a private CA and, signed by it, a
// P-256 certificate for `host` (a DNS name or an IP address), as PEM files.
[[nodiscard]] Status MakePrivateTls(const std::string& host,
                                    const std::string& ca_file,
                                    const std::string& certificate_file,
                                    const std::string& key_file);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_TLS_CONTEXT_H_
