// A TLS client that sends any bytes, for what no HTTP library would send.
#ifndef COUNTERSIGN_TESTS_ATTEST_AUTHZ_TLS_CLIENT_H_
#define COUNTERSIGN_TESTS_ATTEST_AUTHZ_TLS_CLIENT_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "attest/base/bytes.h"

namespace countersign::authz {

struct HttpAnswer {
  int status = 0;  // 0: the connection was closed without an answer.
  std::string header;
  std::string body;
};

class TlsClient {
 public:
  // Connects to 127.0.0.1 and does the handshake, trusting `ca_file`.
  // `max_version` 0: whatever both like best. `alpn` as in RFC 7301, each name
  // with its length before it.
  TlsClient(uint16_t port, const std::string& ca_file, int max_version = 0,
            const std::string& alpn = {});
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  [[nodiscard]] bool connected() const { return ssl_ != nullptr; }
  // False if the connection is gone.
  bool Send(std::string_view bytes);
  // Reads one answer, waiting at most `timeout_ms`.
  [[nodiscard]] HttpAnswer Receive(int timeout_ms = 10'000);
  // Both, with Host and Content-Length.
  [[nodiscard]] HttpAnswer Ask(
      const std::string& method, const std::string& target,
      const std::string& body = {},
      const std::string& type = "application/x-protobuf",
      const std::string& headers = {});
  // True if the server closes within the time.
  [[nodiscard]] bool WaitClosed(int timeout_ms);
  // RFC 9266, 32 bytes.
  [[nodiscard]] Bytes Exporter() const;

 private:
  // Appends to buffer_; false at the end of the stream.
  bool Fill(int64_t deadline_ms);

  std::shared_ptr<SSL_CTX> context_;
  SSL* ssl_ = nullptr;
  int fd_ = -1;
  std::string buffer_;
  bool head_ = false;  // The answer has no body, whatever its length says.
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_TESTS_ATTEST_AUTHZ_TLS_CLIENT_H_
