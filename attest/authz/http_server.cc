#include "attest/authz/http_server.h"

#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <mutex>
#include <thread>

#include "attest/authz/connection_registry.h"
#include "attest/authz/waiting_room.h"

namespace countersign::authz {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using beast::error_code;
using Parser = http::request_parser<http::string_body>;
using Answer = http::response<http::string_body>;

// While a connection idles: there may be thousands.
constexpr size_t kIdleBuffer = 512;
constexpr int kIoThreads = 2;
constexpr int kBusyRetryS = 1;
constexpr std::chrono::milliseconds kAcceptPause{100};

constexpr std::string_view kDpopField = "DPoP";
constexpr std::string_view kAttestationField = "OAuth-Client-Attestation";
constexpr std::string_view kAttestationPopField =
    "OAuth-Client-Attestation-PoP";

// What every connection shares.
struct Shared {
  Shared(const HttpServerOptions& server_options,
         RequestHandler& request_handler)
      : options(server_options),
        handler(request_handler),
        registry(static_cast<size_t>(server_options.connections)),
        workers(std::make_unique<asio::thread_pool>(
            static_cast<size_t>(server_options.workers))) {}

  const HttpServerOptions options;
  RequestHandler& handler;
  ConnectionRegistry registry;
  WaitingRoom waiting;
  std::unique_ptr<asio::thread_pool> workers;  // Null once stopped.
  std::atomic<int> queued{0};
  std::atomic<bool> stopping{false};
};

int StatusOf(const error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == beast::error::timeout) return 408;
  return 400;
}

// One client: handshake, then requests one after the other. Everything runs
// on its strand, but for the handler.
class Connection final : public Closable,
                         public Waiter,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, asio::ssl::context context, Shared& shared)
      : context_(std::move(context)),
        stream_(std::move(socket), context_),
        shared_(shared),
        patience_(stream_.get_executor()) {}
  ~Connection() override {
    shared_.waiting.Leave(this);
    shared_.registry.Leave(this);
  }

  void Run() {
    asio::dispatch(stream_.get_executor(),
                   [self = shared_from_this()] { self->Handshake(); });
  }
  void Close() override {
    asio::post(stream_.get_executor(),
               [self = shared_from_this()] { self->CloseNow(); });
  }
  void Wake() override {
    // At once, so that a server that stops lets it be answered.
    shared_.registry.SetIdle(this, false);
    asio::post(stream_.get_executor(),
               [self = shared_from_this()] { self->OnWake(); });
  }

 private:
  void Handshake() {
    error_code failed;
    const auto peer = Socket().remote_endpoint(failed);
    if (failed) return;
    remote_ = peer.address().to_string();
    Expire(shared_.options.read_timeout);
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = shared_from_this()](error_code error) {
                              if (error) return self->CloseNow();
                              self->exporter_ =
                                  TlsExporter(self->stream_.native_handle());
                              self->AwaitRequest();
                            });
  }

  // Waits for the first byte of a request; here a connection may be evicted.
  void AwaitRequest() {
    if (shared_.stopping) return Shutdown();
    parser_.emplace();
    version_ = 11;
    head_ = false;
    parser_->header_limit(kMaxHttpHeader);
    parser_->body_limit(boost::none);  // Set once the route is known.
    if (buffer_.size() > 0) return ReadHeader();
    buffer_.shrink_to_fit();
    shared_.registry.SetIdle(this, true);
    Expire(shared_.options.idle_timeout);
    stream_.async_read_some(
        buffer_.prepare(kIdleBuffer),
        [self = shared_from_this()](error_code error, size_t size) {
          self->shared_.registry.SetIdle(self.get(), false);
          if (error) return self->CloseNow();
          self->buffer_.commit(size);
          self->ReadHeader();
        });
  }

  void ReadHeader() {
    Expire(shared_.options.read_timeout);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, size_t) {
          if (error == http::error::end_of_stream) return self->Shutdown();
          if (error) return self->Refuse(StatusOf(error));
          self->ReadBody();
        });
  }

  void ReadBody() {
    const auto& request = parser_->get();
    version_ = request.version() == 10 ? 10 : 11;
    head_ = request.method() == http::verb::head;
    if (const int status = Objection(request); status != 0) {
      return Refuse(status);
    }
    const std::string_view target = Target(request);
    const size_t limit = shared_.handler.MaxBody(
        Text(request.method_string()), target.substr(0, target.find('?')));
    parser_->body_limit(limit);
    const auto length = parser_->content_length();
    if (length && *length > limit) return Refuse(413);
    if (beast::iequals(request[http::field::expect], "100-continue") &&
        buffer_.size() == 0) {
      return Continue();
    }
    ReadRest();
  }

  // Why the header section alone is reason enough to refuse; 0 if not.
  static int Objection(const http::request<http::string_body>& request) {
    if (request.version() != 10 && request.version() != 11) return 400;
    if (request.count(http::field::content_length) > 0 &&
        request.count(http::field::transfer_encoding) > 0) {
      return 400;
    }
    for (const auto field : {http::field::content_length, http::field::host,
                             http::field::authorization, http::field::cookie,
                             http::field::origin, http::field::content_type}) {
      if (request.count(field) > 1) return 400;
    }
    for (const std::string_view name :
         {kDpopField, kAttestationField, kAttestationPopField}) {
      if (request.count({name.data(), name.size()}) > 1) return 400;
    }
    const auto transfer = request[http::field::transfer_encoding];
    if (!transfer.empty() && !beast::iequals(transfer, "chunked")) return 400;
    const auto encoding = request[http::field::content_encoding];
    if (!encoding.empty() && !beast::iequals(encoding, "identity")) return 415;
    return 0;
  }

  void Continue() {
    static constexpr std::string_view kContinue =
        "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (error) return self->CloseNow();
                        self->ReadRest();
                      });
  }

  void ReadRest() {
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, size_t) {
                       if (error) return self->Refuse(StatusOf(error));
                       self->Dispatch();
                     });
  }

  void Dispatch() {
    beast::get_lowest_layer(stream_).expires_never();
    keep_alive_ = parser_->get().keep_alive();
    Handle(std::make_shared<Request>(TakeRequest()));
  }

  void Handle(std::shared_ptr<Request> request) {
    if (shared_.queued.fetch_add(1) >=
        shared_.options.queue + shared_.options.workers) {
      shared_.queued.fetch_sub(1);
      StopWaiting();
      return Refuse(503);
    }
    asio::post(*shared_.workers, [self = shared_from_this(),
                                  request = std::move(request)]() mutable {
      Response response;
      try {
        response = self->shared_.handler.Handle(*request);
      } catch (const std::exception&) {
        response = self->shared_.handler.Refusal(500);
      }
      self->shared_.queued.fetch_sub(1);
      asio::post(self->stream_.get_executor(),
                 [self, request = std::move(request),
                  response = std::move(response)]() mutable {
                   self->OnHandled(std::move(request), std::move(response));
                 });
    });
  }

  void OnHandled(std::shared_ptr<Request> request, Response response) {
    if (!response.wait || request->waited) {
      StopWaiting();
      return Write(std::move(response));
    }
    if (wait_ == Waits::kNo) {
      // Entered first and looked at again then, so that what happens between
      // the two is seen.
      wait_ = Waits::kLooks;
      woken_ = false;
      shared_.waiting.Enter(response.wait->topic, weak_from_this(), this);
      return Handle(std::move(request));
    }
    wait_ = Waits::kYes;
    waiting_ = std::move(request);
    if (woken_ || shared_.stopping) return EndWait();
    shared_.registry.SetIdle(this, true);
    patience_.expires_after(response.wait->at_most);
    patience_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->EndWait();
    });
  }

  void OnWake() {
    woken_ = true;
    EndWait();
  }
  void EndWait() {
    if (wait_ != Waits::kYes) return;
    std::shared_ptr<Request> request = std::move(waiting_);
    StopWaiting();
    request->waited = true;
    Handle(std::move(request));
  }
  void StopWaiting() {
    if (wait_ == Waits::kNo) return;
    if (wait_ == Waits::kYes) shared_.registry.SetIdle(this, false);
    wait_ = Waits::kNo;
    shared_.waiting.Leave(this);
    patience_.cancel();
  }

  Request TakeRequest() {
    auto message = parser_->release();
    const std::string_view target = Target(message);
    const size_t question = target.find('?');
    Request request;
    request.method = Text(message.method_string());
    request.path = target.substr(0, question);
    if (question != std::string_view::npos) {
      request.query = target.substr(question + 1);
    }
    request.content_type = Text(message[http::field::content_type]);
    request.accept = Text(message[http::field::accept]);
    request.authorization = Text(message[http::field::authorization]);
    request.cookie = Text(message[http::field::cookie]);
    request.origin = Text(message[http::field::origin]);
    request.dpop = Named(message, kDpopField);
    request.client_attestation = Named(message, kAttestationField);
    request.client_attestation_pop = Named(message, kAttestationPopField);
    request.body = std::move(message.body());
    request.remote_address = remote_;
    request.tls_exporter = exporter_;
    return request;
  }

  void Refuse(int status) {
    keep_alive_ = false;
    Response response = shared_.handler.Refusal(status);
    if (status == 503) response.retry_after_s = kBusyRetryS;
    Write(std::move(response));
  }

  void Write(Response response) {
    answer_.emplace();
    answer_->result(static_cast<unsigned>(response.status));
    answer_->version(version_);
    answer_->set(http::field::content_type, response.content_type);
    answer_->set(http::field::cache_control, response.cache_control);
    answer_->set("X-Content-Type-Options", "nosniff");
    if (response.retry_after_s > 0) {
      answer_->set(http::field::retry_after,
                   std::to_string(response.retry_after_s));
    }
    if (!response.allow.empty()) {
      answer_->set(http::field::allow, response.allow);
    }
    for (const auto& [name, value] : response.headers) {
      answer_->insert(name, value);
    }
    answer_->body() = std::move(response.body);
    answer_->keep_alive(keep_alive_ && !shared_.stopping);
    answer_->prepare_payload();
    if (head_) answer_->body().clear();  // Its length stays.
    Expire(shared_.options.write_timeout);
    http::async_write(stream_, *answer_,
                      [self = shared_from_this()](error_code error, size_t) {
                        const bool again = self->answer_->keep_alive();
                        self->answer_.reset();
                        if (error) return self->CloseNow();
                        if (!again) return self->Shutdown();
                        self->AwaitRequest();
                      });
  }

  void Shutdown() {
    Expire(std::chrono::seconds(2));
    stream_.async_shutdown(
        [self = shared_from_this()](error_code) { self->CloseNow(); });
  }
  void CloseNow() {
    beast::get_lowest_layer(stream_).close();
    // Its timer would keep it.
    StopWaiting();
    waiting_.reset();
  }

  void Expire(std::chrono::milliseconds after) {
    beast::get_lowest_layer(stream_).expires_after(after);
  }
  tcp::socket& Socket() { return beast::get_lowest_layer(stream_).socket(); }

  static std::string_view Text(beast::string_view text) {
    return {text.data(), text.size()};
  }
  template <typename Message>
  static std::string_view Named(const Message& message, std::string_view name) {
    return Text(message[beast::string_view(name.data(), name.size())]);
  }
  template <typename Message>
  static std::string_view Target(const Message& message) {
    return Text(message.target());
  }

  asio::ssl::context context_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  Shared& shared_;
  std::string remote_;
  Bytes exporter_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<Answer> answer_;
  enum class Waits : uint8_t { kNo, kLooks, kYes };
  Waits wait_ = Waits::kNo;
  bool woken_ = false;
  std::shared_ptr<Request> waiting_;
  asio::steady_timer patience_;
  bool keep_alive_ = false;
  unsigned version_ = 11;
  bool head_ = false;
};

Result<tcp::endpoint> ParseListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  const auto bad = [&listen] {
    return Fail(ErrorCode::kConfigInvalid,
                "listen must be ADDRESS:PORT, not " + listen);
  };
  if (colon == std::string::npos) return bad();
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host == "localhost") host = "127.0.0.1";
  const std::string digits = listen.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 ||
      digits.find_first_not_of("0123456789") != std::string::npos ||
      std::stoi(digits) > 65535) {
    return bad();
  }
  error_code failed;
  const auto address = asio::ip::make_address(host, failed);
  if (failed) return bad();
  return tcp::endpoint(address, static_cast<uint16_t>(std::stoi(digits)));
}

}  // namespace

Status CheckListen(const std::string& listen) {
  return ParseListen(listen).map([](const tcp::endpoint&) {});
}

struct HttpServer::Impl {
  Impl(const HttpServerOptions& options, TlsContext tls_context,
       RequestHandler& handler)
      : shared(options, handler), acceptor(io), tls(std::move(tls_context)) {}

  Status Listen(const tcp::endpoint& endpoint) {
    try {
      acceptor.open(endpoint.protocol());
      acceptor.set_option(asio::socket_base::reuse_address(true));
      acceptor.bind(endpoint);
      acceptor.listen(asio::socket_base::max_listen_connections);
    } catch (const boost::system::system_error& error) {
      return Fail(ErrorCode::kIoError,
                  shared.options.listen + ": " + error.code().message());
    }
    return {};
  }

  void Accept() {
    acceptor.async_accept(asio::make_strand(io),
                          [this](error_code error, tcp::socket socket) {
                            if (error == asio::error::operation_aborted) return;
                            if (error) return AcceptLater();
                            Begin(std::move(socket));
                            Accept();
                          });
  }
  // Out of descriptors (EMFILE): accepting at once would spin (F08).
  void AcceptLater() {
    pause.expires_after(kAcceptPause);
    pause.async_wait([this](error_code error) {
      if (!error) Accept();
    });
  }

  void Begin(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    SSL_CTX* context = nullptr;
    {
      const std::lock_guard lock(tls_mutex);
      context = tls.get();
      SSL_CTX_up_ref(context);  // asio::ssl::context releases it.
    }
    const auto connection = std::make_shared<Connection>(
        std::move(socket), asio::ssl::context(context), shared);
    if (shared.registry.Admit(connection)) connection->Run();
  }

  Shared shared;
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> keep_running{
      io.get_executor()};
  tcp::acceptor acceptor;
  asio::steady_timer pause{io};
  std::mutex tls_mutex;
  TlsContext tls;
  std::vector<std::thread> threads;
  uint16_t port = 0;
  bool stopped = false;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { Stop(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<HttpServer>> HttpServer::Start(
    const HttpServerOptions& options, TlsContext tls, RequestHandler& handler) {
  CS_ASSIGN_OR_RETURN(const tcp::endpoint endpoint,
                      ParseListen(options.listen));
  auto impl = std::make_unique<Impl>(options, std::move(tls), handler);
  CS_RETURN_IF_ERROR(impl->Listen(endpoint));
  impl->port = impl->acceptor.local_endpoint().port();
  impl->Accept();
  for (int i = 0; i < kIoThreads; ++i) {
    impl->threads.emplace_back([io = &impl->io] { io->run(); });
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

uint16_t HttpServer::port() const { return impl_->port; }

void HttpServer::Wake(const std::string& topic) {
  impl_->shared.waiting.Wake(topic);
}

void HttpServer::ReplaceTls(TlsContext tls) {
  const std::lock_guard lock(impl_->tls_mutex);
  impl_->tls = std::move(tls);
}

void HttpServer::Stop(std::chrono::milliseconds grace) {
  if (std::exchange(impl_->stopped, true)) return;
  const auto deadline = std::chrono::steady_clock::now() + grace;
  impl_->shared.stopping = true;
  impl_->shared.waiting.WakeAll();
  asio::post(impl_->io, [impl = impl_.get()] {
    impl->acceptor.close();
    impl->pause.cancel();
  });
  impl_->shared.registry.Close(/*all=*/false);
  if (!impl_->shared.registry.WaitEmpty(deadline)) {
    impl_->shared.registry.Close(/*all=*/true);
  }
  impl_->shared.workers->join();
  impl_->keep_running.reset();
  impl_->io.stop();
  for (std::thread& thread : impl_->threads) thread.join();
  // What was handed to it after the join never ran, and holds connections,
  // which must not outlive `io`.
  impl_->shared.workers.reset();
}

}  // namespace countersign::authz
