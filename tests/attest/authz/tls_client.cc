#include "tests/attest/authz/tls_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>

namespace countersign::authz {
namespace {

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

TlsClient::TlsClient(uint16_t port, const std::string& ca_file, int max_version,
                     const std::string& alpn)
    : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
  // A server that closes first must not end the test program.
  std::signal(SIGPIPE, SIG_IGN);
  if (max_version != 0) {
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
  }
  SSL_CTX_load_verify_locations(context_.get(), ca_file.c_str(), nullptr);
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
      0) {
    return;
  }
  ssl_ = SSL_new(context_.get());
  SSL_set1_host(ssl_, "localhost");
  SSL_set_fd(ssl_, fd_);
  if (!alpn.empty()) {
    SSL_set_alpn_protos(ssl_,
                        reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
  }
  if (SSL_connect(ssl_) != 1) {
    SSL_free(ssl_);
    ssl_ = nullptr;
  }
}

TlsClient::~TlsClient() {
  SSL_free(ssl_);
  if (fd_ >= 0) ::close(fd_);
}

bool TlsClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int sent =
        SSL_write(ssl_, bytes.data(),
                  static_cast<int>(std::min<size_t>(bytes.size(), 65'536)));
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool TlsClient::Fill(int64_t deadline_ms) {
  if (SSL_pending(ssl_) == 0) {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    const int64_t left = std::max<int64_t>(0, deadline_ms - NowMs());
    if (::poll(&waiting, 1, static_cast<int>(left)) <= 0) return false;
  }
  char chunk[16'384];
  const int got = SSL_read(ssl_, chunk, sizeof(chunk));
  if (got <= 0) return false;
  buffer_.append(chunk, static_cast<size_t>(got));
  return true;
}

HttpAnswer TlsClient::Receive(int timeout_ms) {
  HttpAnswer answer;
  const int64_t deadline = NowMs() + timeout_ms;
  size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill(deadline)) return answer;
  }
  answer.header = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  const size_t length_at = answer.header.find("Content-Length: ");
  const size_t length =
      length_at == std::string::npos || head_
          ? 0
          : std::strtoul(answer.header.c_str() + length_at + 16, nullptr, 10);
  while (buffer_.size() < length) {
    if (!Fill(deadline)) return answer;
  }
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  answer.status = std::atoi(answer.header.c_str() + sizeof("HTTP/1.1"));
  return answer;
}

HttpAnswer TlsClient::Ask(const std::string& method, const std::string& target,
                          const std::string& body, const std::string& type,
                          const std::string& headers) {
  std::string request =
      method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
  if (!body.empty() || method == "POST") {
    request += "Content-Type: " + type +
               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  request += "\r\n" + body;
  if (!Send(request)) return {};
  head_ = method == "HEAD";
  return Receive();
}

bool TlsClient::WaitClosed(int timeout_ms) {
  const int64_t deadline = NowMs() + timeout_ms;
  while (NowMs() < deadline) {
    if (!Fill(deadline)) return NowMs() < deadline;
  }
  return false;
}

Bytes TlsClient::Exporter() const {
  Bytes exporter(32);
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  if (SSL_export_keying_material(ssl_, exporter.data(), exporter.size(),
                                 kLabel.data(), kLabel.size(), nullptr, 0,
                                 1) != 1) {
    return {};
  }
  return exporter;
}

}  // namespace countersign::authz
