#include "tests/agent/uplink/test_server.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace countersign::agent {
namespace {

void Extend(X509* x509, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate Make(const std::string& name, const Certificate* ca,
                 const LeafOptions& options) {
  static std::atomic<long> serial = 1;
  Certificate made{EvpPkeyPtr(EVP_EC_gen("P-256")), X509Ptr(X509_new())};
  X509* x509 = made.x509.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x509), options.starts_in_s);
  X509_gmtime_adj(X509_getm_notAfter(x509), options.ends_in_s);
  X509_set_pubkey(x509, made.key.get());
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
      reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* issuer = ca == nullptr ? x509 : ca->x509.get();
  X509_set_issuer_name(x509, X509_get_subject_name(issuer));
  if (ca == nullptr) {
    Extend(x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
    Extend(x509, issuer, NID_key_usage, "critical,keyCertSign");
  } else {
    Extend(x509, issuer, NID_subject_alt_name, options.san);
    Extend(x509, issuer, NID_ext_key_usage, "serverAuth");
  }
  X509_sign(x509, ca == nullptr ? made.key.get() : ca->key.get(), EVP_sha256());
  return made;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

std::string Certificate::Pem() const {
  const BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), x509.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

Certificate MakeCa(const std::string& name) { return Make(name, nullptr, {}); }

Certificate MakeLeaf(const Certificate& ca, const LeafOptions& options) {
  return Make("test service", &ca, options);
}

int Peer::Read(char* data, int size) {
  return ssl_ != nullptr ? SSL_read(ssl_, data, size)
                         : static_cast<int>(recv(socket_, data,
                                                 static_cast<size_t>(size), 0));
}

std::string Peer::ReadRequest() {
  std::string text;
  std::array<char, 4096> buffer{};
  size_t wanted = std::string::npos;
  while (text.size() < wanted) {
    const int got = Read(buffer.data(), buffer.size());
    if (got <= 0) return {};
    text.append(buffer.data(), static_cast<size_t>(got));
    const size_t end = text.find("\r\n\r\n");
    if (wanted == std::string::npos && end != std::string::npos) {
      const size_t length = text.find("Content-Length: ");
      wanted = end + 4;
      if (length < end) wanted += std::strtoul(&text[length + 16], nullptr, 10);
    }
  }
  return text;
}

bool Peer::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int sent =
        ssl_ != nullptr
            ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
            : static_cast<int>(
                  send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void Peer::Answer(std::string_view status, std::string_view type,
                  std::string_view body, std::string_view more_headers) {
  std::string text = "HTTP/1.1 ";
  text.append(status).append("\r\nContent-Type: ").append(type);
  text.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  text.append("\r\n").append(more_headers).append("\r\n").append(body);
  Send(text);
}

void Peer::Reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void Peer::Tunnel(int port) {
  const platform::OwnedHandle other(socket(AF_INET, SOCK_STREAM, 0));
  const sockaddr_in address = Loopback(port);
  if (connect(other.get(), reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) != 0) {
    return;
  }
  std::array<pollfd, 2> ends{pollfd{socket_, POLLIN, 0},
                             pollfd{other.get(), POLLIN, 0}};
  std::array<char, 4096> buffer{};
  while (poll(ends.data(), ends.size(), -1) > 0) {
    for (size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t got = recv(ends[i].fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) return;
      if (send(ends[1 - i].fd, buffer.data(), static_cast<size_t>(got),
               MSG_NOSIGNAL) != got) {
        return;
      }
    }
  }
}

std::string Peer::Exporter() const {
  std::string out(32, '\0');
  SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(out.data()),
                             32, "EXPORTER-Channel-Binding", 24,
                             reinterpret_cast<const unsigned char*>(""), 0, 1);
  return out;
}

TestServer::TestServer(Script script) : script_(std::move(script)) { Listen(); }

TestServer::TestServer(const Certificate& leaf, Script script, int max_version)
    : script_(std::move(script)), tls_(SSL_CTX_new(TLS_server_method())) {
  SSL_CTX_use_certificate(tls_.get(), leaf.x509.get());
  SSL_CTX_use_PrivateKey(tls_.get(), leaf.key.get());
  SSL_CTX_set_security_level(tls_.get(), 0);
  SSL_CTX_set_min_proto_version(tls_.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(tls_.get(), max_version);
  Listen();
}

TestServer::~TestServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
  }
  threads_.clear();  // Joins them.
  for (const int socket : sockets_) close(socket);
}

void TestServer::Listen() {
  signal(SIGPIPE, SIG_IGN);  // As platform::ServiceHost does for the uplink.
  listener_ = platform::OwnedHandle(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = Loopback(0);
  bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  listen(listener_.get(), 16);
  socklen_t size = sizeof(address);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { Accept(); });
}

void TestServer::Accept() {
  while (true) {
    const int socket = accept(listener_.get(), nullptr, nullptr);
    if (socket < 0) return;
    ++connections_;
    const std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket] { Serve(socket); });
  }
}

void TestServer::Serve(int socket) {
  std::unique_ptr<SSL, OpensslDeleter<SSL_free>> ssl;
  if (tls_) {
    ssl.reset(SSL_new(tls_.get()));
    SSL_set_fd(ssl.get(), socket);
    if (SSL_accept(ssl.get()) != 1) {
      shutdown(socket, SHUT_RDWR);
      return;
    }
  }
  Peer peer(socket, ssl.get());
  script_(peer);
  const std::lock_guard lock(mutex_);
  std::erase(sockets_, socket);
  close(socket);
}

}  // namespace countersign::agent
