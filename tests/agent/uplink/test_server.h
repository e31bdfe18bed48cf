// Real servers on 127.0.0.1 that behave as a script says: plain TCP (for
// proxies and for servers that break off) and TLS with certificates of a
// private CA made on the spot.
#ifndef COUNTERSIGN_TESTS_AGENT_UPLINK_TEST_SERVER_H_
#define COUNTERSIGN_TESTS_AGENT_UPLINK_TEST_SERVER_H_

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "attest/base/openssl_ptr.h"
#include "platform/handle.h"

namespace countersign::agent {

struct Certificate {
  EvpPkeyPtr key;
  X509Ptr x509;
  [[nodiscard]] std::string Pem() const;
};

Certificate MakeCa(const std::string& name);
struct LeafOptions {
  std::string san = "IP:127.0.0.1";
  long starts_in_s = -3600;
  long ends_in_s = 3600;
};
Certificate MakeLeaf(const Certificate& ca, const LeafOptions& options = {});

// One accepted connection, seen by a script. Reads and writes block; they
// return nothing once the other end or the server is gone.
class Peer {
 public:
  Peer(int socket, SSL* ssl) : socket_(socket), ssl_(ssl) {}

  // One HTTP request, header and body (by Content-Length); empty at the end.
  [[nodiscard]] std::string ReadRequest();
  bool Send(std::string_view bytes);
  // A whole answer with Content-Length.
  void Answer(std::string_view status, std::string_view type,
              std::string_view body, std::string_view more_headers = "");
  // Breaks off with a TCP reset.
  void Reset();
  // Hands bytes to and fro between this peer and `port` until either ends.
  void Tunnel(int port);
  // RFC 9266, computed on this end.
  [[nodiscard]] std::string Exporter() const;

 private:
  int Read(char* data, int size);
  int socket_;
  SSL* ssl_;  // nullptr: plain TCP.
};

class TestServer {
 public:
  using Script = std::function<void(Peer&)>;  // Runs once a connection.

  // Plain TCP.
  explicit TestServer(Script script);
  // TLS, at most version `max_version`.
  TestServer(const Certificate& leaf, Script script,
             int max_version = TLS1_3_VERSION);
  ~TestServer();

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    return "https://" + host + ":" + std::to_string(port_);
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void Listen();
  void Accept();
  void Serve(int socket);

  Script script_;
  std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>> tls_;
  platform::OwnedHandle listener_;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::mutex mutex_;
  std::vector<int> sockets_;           // Guarded by mutex_.
  std::vector<std::jthread> threads_;  // Guarded by mutex_.
  std::jthread acceptor_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_UPLINK_TEST_SERVER_H_
