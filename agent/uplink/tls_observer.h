// What TLS shows of a connection: its exporter, and the chain that the other
// end presented. Only watches: the outcome of verification is never changed.
#ifndef COUNTERSIGN_AGENT_UPLINK_TLS_OBSERVER_H_
#define COUNTERSIGN_AGENT_UPLINK_TLS_OBSERVER_H_

#include <openssl/ssl.h>

#include <string>

namespace countersign::agent {

// Channel binding "tls-exporter" (RFC 9266 §2): label
// "EXPORTER-Channel-Binding", zero-length context, 32 bytes. Empty below TLS
// 1.3, where it would not be bound to the whole handshake by itself (§4.2).
[[nodiscard]] std::string TlsExporter(SSL* ssl);

// Remembers the chain of the last handshake on the contexts it is put on.
class TlsObserver {
 public:
  // `context` must not outlive this object.
  void Watch(SSL_CTX* context);
  void Clear() { chain_.clear(); }

  // "[0] subject CN=a, issuer CN=b, until 2026-01-01; [1] …": printable, the
  // first certificates of what the server sent. Empty: none was sent.
  [[nodiscard]] const std::string& chain() const { return chain_; }

 private:
  static int OnVerify(int preverify_ok, X509_STORE_CTX* store);

  std::string chain_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_UPLINK_TLS_OBSERVER_H_
