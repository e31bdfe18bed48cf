// HTTP/1.1 over TLS 1.3 (1.2 without channel binding) for hostile networks.
//
// It reads whole requests within bounds, hands them to a handler on a bounded
// pool of workers and writes the answers. It knows nothing of routes beyond
// their largest body, and its header names no Beast type: that library costs
// 25 s to compile, and stays in http_server.cc.
//
// Bounds, each answered with its status and a closed connection:
//   400  malformed, NUL or CR/LF in a header, Content-Length together with
//        Transfer-Encoding, one of the fields of Request twice, an HTTP
//        version other than 1.0 and 1.1
//   408  the request did not arrive within read_timeout
//   413  body larger than the route takes (also chunked, while it arrives)
//   415  any Content-Encoding: nothing here is worth a decompression bomb
//   431  header section over 8 KiB
//   503  all workers busy and the queue full, with Retry-After
// When `connections` are open, the one that idles longest makes room; one whose
// request waits (Response::wait) idles.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_HTTP_SERVER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_HTTP_SERVER_H_

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attest/authz/tls_context.h"
#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::authz {

inline constexpr size_t kMaxHttpHeader = 8 * 1024;

// Every field but tls_exporter and remote_address is hostile.
struct Request {
  std::string method;  // Upper case as sent.
  std::string path;    // As sent, without the query; not percent-decoded.
  std::string query;   // Without '?'.
  std::string content_type;
  std::string accept;
  std::string authorization;
  std::string cookie;
  std::string origin;
  std::string dpop;                    // RFC 9449 proof.
  std::string client_attestation;      // OAuth-Client-Attestation
  std::string client_attestation_pop;  // OAuth-Client-Attestation-PoP
  std::string body;
  std::string remote_address;  // Of the TCP peer, without port.
  // RFC 9266 "EXPORTER-Channel-Binding" of this connection; empty under 1.2.
  Bytes tls_exporter;
  // It waited (Response::wait), and is asked for the last time: the time is
  // up, the topic was woken, or the server stops.
  bool waited = false;
};

// What a request waits for: HttpServer::Wake with this topic, but not longer
// than `at_most`.
struct Wait {
  std::string topic;
  std::chrono::milliseconds at_most{0};
};

struct Response {
  // Nothing is answered yet: the request waits without a worker, and is handled
  // again later, then for good. Whatever else stands here is ignored.
  std::optional<Wait> wait;
  int status = 200;
  std::string content_type;
  std::string body;
  std::string cache_control = "no-store";
  int retry_after_s = 0;  // Sent when positive.
  std::string allow;      // Sent unless empty: the methods of the path.
  // Further header fields. Names and values are ours, or checked by whoever
  // puts them here: the server writes them as they are.
  std::vector<std::pair<std::string, std::string>> headers;
};

class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // Largest body for this request line, 0 for none. Called on an I/O thread
  // for every header: cheap, and does not throw.
  [[nodiscard]] virtual size_t MaxBody(std::string_view method,
                                       std::string_view path) const = 0;
  // Called on a worker, several at once.
  [[nodiscard]] virtual Response Handle(const Request& request) = 0;
  // The answer to what never becomes a Request (the statuses above).
  [[nodiscard]] virtual Response Refusal(int status) const = 0;
};

struct HttpServerOptions {
  std::string listen = {};  // ADDRESS:PORT; port 0 takes a free one.
  int connections = 4096;
  int workers = 8;
  int queue = 256;
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds read_timeout{20'000};
  std::chrono::milliseconds write_timeout{20'000};
};

// kConfigInvalid: `listen` is not ADDRESS:PORT.
[[nodiscard]] Status CheckListen(const std::string& listen);

// Start, then Stop. Both are called from one thread.
class HttpServer {
 public:
  // Listens. `handler` must outlive the server.
  //   kConfigInvalid  `listen` is not HOST:PORT
  //   kIoError        the address cannot be bound
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> Start(
      const HttpServerOptions& options, TlsContext tls,
      RequestHandler& handler);
  ~HttpServer();

  [[nodiscard]] uint16_t port() const;
  // Requests that wait for `topic` are handled again. Any thread. One that is
  // about to wait is not missed: it is handled once more before it does.
  void Wake(const std::string& topic);
  // New connections get `tls`; those that exist keep theirs.
  void ReplaceTls(TlsContext tls);
  // Accepts nothing more, lets requests that have begun end for at most
  // `grace`, then closes everything. Idempotent.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_HTTP_SERVER_H_
