#include "agent/uplink/authz_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "agent/ipc/messages.h"
#include "agent/uplink/tls_observer.h"
#include "agent/uplink/transport_failure.h"
#include "attest/base/openssl_ptr.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxUrl = 512;
constexpr size_t kMaxPath = 256;
constexpr std::chrono::milliseconds kMaxTimeout{300'000};

template <auto kFree>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using CurlPtr = std::unique_ptr<CURL, Deleter<curl_easy_cleanup>>;
using CurlMultiPtr = std::unique_ptr<CURLM, Deleter<curl_multi_cleanup>>;
using CurlUrlPtr = std::unique_ptr<CURLU, Deleter<curl_url_cleanup>>;
using CurlTextPtr = std::unique_ptr<char, Deleter<curl_free>>;
using HeaderList = std::unique_ptr<curl_slist, Deleter<curl_slist_free_all>>;

std::string Part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
  const CurlTextPtr owned(text);
  return text;
}

struct Target {
  std::string url;
  std::string host;
};

bool IsOurPath(std::string_view path) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-.";
  return path.starts_with("/v1/") && path.size() <= kMaxPath &&
         path.find_first_not_of(kAllowed) == std::string_view::npos &&
         path.find("..") == std::string_view::npos;
}

Result<Target> TargetOf(const v1::UplinkRequest& request) {
  if (!IsOurPath(request.path())) {
    return Fail(ErrorCode::kBadRequest, "path is not one of the service's");
  }
  const CurlUrlPtr url(curl_url());
  if (!url || request.service().size() > kMaxUrl ||
      curl_url_set(url.get(), CURLUPART_URL, request.service().c_str(),
                   CURLU_DISALLOW_USER) != CURLUE_OK ||
      Part(url.get(), CURLUPART_SCHEME) != "https" ||
      !Part(url.get(), CURLUPART_QUERY).empty() ||
      !Part(url.get(), CURLUPART_FRAGMENT).empty()) {
    return Fail(ErrorCode::kBadRequest, "service is not a plain https URL");
  }
  std::string base = request.service();
  while (base.ends_with('/')) base.pop_back();
  return Target{base + request.path(), Part(url.get(), CURLUPART_HOST)};
}

// Only the service's own media types can carry one of its answers: a signed
// message, or (to a GET) its key set or a piece of its log.
bool MayBeAnswer(std::string_view content_type, bool is_get) {
  const std::string_view type =
      content_type.substr(0, content_type.find_first_of("; "));
  if (type == "application/x-protobuf") return true;
  return is_get &&
         (type == "application/json" || type == "application/jwk-set+json" ||
          type == "application/octet-stream" || type == "text/plain");
}

void SetError(const Error& error, v1::UplinkResponse& response) {
  *response.mutable_error() = ToErrorInfo(error);
  response.mutable_error()->set_retry_after_s(response.retry_after_s());
}

class CurlClient final : public AuthzClient {
 public:
  CurlClient(CurlMultiPtr multi, CurlPtr curl, TransportSettings settings,
             TransportLimits limits)
      : settings_(std::move(settings)),
        limits_(limits),
        multi_(std::move(multi)),
        curl_(std::move(curl)) {
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 1L);
  }

  v1::UplinkResponse Exchange(const v1::UplinkRequest& request,
                              std::stop_token stop) override;

 private:
  // What one exchange has brought so far.
  struct Transfer {
    CurlClient* client;
    std::string body = {};
    size_t header_size = 0;
    bool too_large = false;
    std::string exporter = {};
  };

  void SetConnection();
  void SetRequest(const v1::UplinkRequest& request, const Target& target,
                  curl_slist* headers, Transfer& transfer);
  void SetTrust(const std::string& ca_pem);
  [[nodiscard]] CURLcode Perform(const std::stop_token& stop);
  void Describe(CURLcode code, const Target& target, bool is_get,
                Transfer& transfer, v1::UplinkResponse& response);

  static size_t OnHeader(char* data, size_t, size_t size, void* context);
  static size_t OnBody(char* data, size_t, size_t size, void* context);
  static CURLcode OnSslContext(CURL*, void* context, void* client);

  template <typename T>
  void Set(CURLoption option, T value) {
    curl_easy_setopt(curl_.get(), option, value);
  }
  template <typename T>
  [[nodiscard]] T Get(CURLINFO what) const {
    T value{};
    curl_easy_getinfo(curl_.get(), what, &value);
    return value;
  }

  TransportSettings settings_;
  TransportLimits limits_;
  TlsObserver tls_;  // Outlives the contexts that curl_ keeps.
  char error_[CURL_ERROR_SIZE] = {};
  CurlMultiPtr multi_;  // Holds the connection.
  CurlPtr curl_;
};

size_t CurlClient::OnHeader(char*, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.header_size += size;
  if (transfer.header_size > transfer.client->limits_.max_header) {
    transfer.too_large = true;
    return 0;
  }
  if (transfer.exporter.empty()) {
    // Only here is it certain which connection carries this request.
    const auto* session =
        transfer.client->Get<curl_tlssessioninfo*>(CURLINFO_TLS_SSL_PTR);
    if (session != nullptr && session->backend == CURLSSLBACKEND_OPENSSL) {
      transfer.exporter = TlsExporter(static_cast<SSL*>(session->internals));
    }
  }
  return size;
}

size_t CurlClient::OnBody(char* data, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (size > transfer.client->limits_.max_answer - transfer.body.size()) {
    transfer.too_large = true;
    return 0;
  }
  transfer.body.append(data, size);
  return size;
}

CURLcode CurlClient::OnSslContext(CURL*, void* context, void* client) {
  static_cast<CurlClient*>(client)->tls_.Watch(static_cast<SSL_CTX*>(context));
  return CURLE_OK;
}

// What is the same for every request. A reset keeps the connection.
void CurlClient::SetConnection() {
  curl_easy_reset(curl_.get());
  Set(CURLOPT_ERRORBUFFER, error_);
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_PROTOCOLS_STR, "https");
  Set(CURLOPT_FOLLOWLOCATION, 0L);
  Set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  Set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  Set(CURLOPT_SSL_VERIFYPEER, 1L);
  Set(CURLOPT_SSL_VERIFYHOST, 2L);
  Set(CURLOPT_SSL_CTX_FUNCTION, &CurlClient::OnSslContext);
  Set(CURLOPT_SSL_CTX_DATA, this);
  Set(CURLOPT_BUFFERSIZE, 16L << 10);
  Set(CURLOPT_UPLOAD_BUFFERSIZE, 64L << 10);
  Set(CURLOPT_TCP_KEEPALIVE, 1L);
  // An empty string switches off what the environment says.
  Set(CURLOPT_PROXY, settings_.proxy.c_str());
  Set(CURLOPT_NOPROXY, "");
  Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits_.connect.count()));
  // With any limit, curl wakes once a second to compare.
  Set(CURLOPT_LOW_SPEED_LIMIT,
      limits_.slow_for.count() > 0 ? limits_.slow_bytes : 0L);
  Set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits_.slow_for.count()));
  Set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(limits_.max_answer));
}

// A CA that is given replaces the system's; it is never added to them.
void CurlClient::SetTrust(const std::string& ca_pem) {
  const std::string& pem = ca_pem.empty() ? settings_.ca_pem : ca_pem;
  if (pem.empty()) return;
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_COPY};
  Set(CURLOPT_CAINFO_BLOB, &blob);
  Set(CURLOPT_CAINFO, static_cast<char*>(nullptr));
  Set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
}

void CurlClient::SetRequest(const v1::UplinkRequest& request,
                            const Target& target, curl_slist* headers,
                            Transfer& transfer) {
  Set(CURLOPT_URL, target.url.c_str());
  Set(CURLOPT_HTTPHEADER, headers);
  Set(CURLOPT_USERAGENT, "countersign-uplink/" COUNTERSIGN_VERSION);
  if (request.body().empty()) {
    Set(CURLOPT_HTTPGET, 1L);
  } else {
    Set(CURLOPT_POST, 1L);
    Set(CURLOPT_POSTFIELDSIZE_LARGE,
        static_cast<curl_off_t>(request.body().size()));
    Set(CURLOPT_POSTFIELDS, request.body().data());
  }
  const std::chrono::milliseconds timeout =
      request.timeout_ms() == 0
          ? limits_.total
          : std::min(std::chrono::milliseconds(request.timeout_ms()),
                     kMaxTimeout);
  Set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  Set(CURLOPT_HEADERFUNCTION, &CurlClient::OnHeader);
  Set(CURLOPT_HEADERDATA, &transfer);
  Set(CURLOPT_WRITEFUNCTION, &CurlClient::OnBody);
  Set(CURLOPT_WRITEDATA, &transfer);
}

// Not curl_easy_perform, which wakes once a second: a request that the service
// holds may be all that this laptop does for hours.
CURLcode CurlClient::Perform(const std::stop_token& stop) {
  constexpr int kLongestMs = 600'000;  // Timeouts of curl's own come before.
  const std::stop_callback wake(
      stop, [multi = multi_.get()] { curl_multi_wakeup(multi); });
  if (curl_multi_add_handle(multi_.get(), curl_.get()) != CURLM_OK) {
    return CURLE_FAILED_INIT;
  }
  CURLcode code = CURLE_FAILED_INIT;
  int running = 1;
  CURLMcode ok = CURLM_OK;
  while (ok == CURLM_OK && running > 0) {
    if (stop.stop_requested()) {
      code = CURLE_ABORTED_BY_CALLBACK;
      break;
    }
    ok = curl_multi_perform(multi_.get(), &running);
    if (ok != CURLM_OK || running == 0) break;
    ok = curl_multi_poll(multi_.get(), nullptr, 0, kLongestMs, nullptr);
  }
  int left = 0;
  if (const CURLMsg* done = curl_multi_info_read(multi_.get(), &left);
      done != nullptr && done->msg == CURLMSG_DONE) {
    code = done->data.result;
  }
  curl_multi_remove_handle(multi_.get(), curl_.get());
  return code;
}

void CurlClient::Describe(CURLcode code, const Target& target, bool is_get,
                          Transfer& transfer, v1::UplinkResponse& response) {
  const long status = Get<long>(CURLINFO_RESPONSE_CODE);
  response.set_tls_exporter(std::move(transfer.exporter));
  const auto retry_after = Get<curl_off_t>(CURLINFO_RETRY_AFTER);
  response.set_retry_after_s(
      static_cast<uint32_t>(std::clamp<curl_off_t>(retry_after, 0, 86'400)));
  if (code != CURLE_OK) {
    SetError(
        ErrorOf(
            {.curl_code = code,
             .host = target.host,
             .proxy = settings_.proxy,
             .detail = error_,
             .chain = tls_.chain(),
             .connect_status =
                 static_cast<int>(Get<long>(CURLINFO_HTTP_CONNECTCODE)),
             .os_error = static_cast<int>(Get<long>(CURLINFO_OS_ERRNO)),
             .too_large = transfer.too_large || code == CURLE_FILESIZE_EXCEEDED,
             .stopped = code == CURLE_ABORTED_BY_CALLBACK}),
        response);
    return;
  }
  response.set_http_status(static_cast<uint32_t>(status));
  const char* type = Get<char*>(CURLINFO_CONTENT_TYPE);
  if (MayBeAnswer(type == nullptr ? "" : type, is_get)) {
    response.set_body(std::move(transfer.body));
    return;
  }
  const char* redirect = Get<char*>(CURLINFO_REDIRECT_URL);
  SetError(ErrorOfForeignAnswer(static_cast<int>(status), target.host,
                                type == nullptr ? "" : type,
                                redirect == nullptr ? "" : redirect),
           response);
}

v1::UplinkResponse CurlClient::Exchange(const v1::UplinkRequest& request,
                                        std::stop_token stop) {
  v1::UplinkResponse response;
  response.set_id(request.id());
  const Result<Target> target = TargetOf(request);
  if (!target.has_value()) {
    SetError(target.error(), response);
    return response;
  }
  // No "Expect: 100-continue": it would cost a round trip a batch.
  HeaderList headers(curl_slist_append(nullptr, "Expect:"));
  curl_slist_append(headers.get(), "Accept: application/x-protobuf");
  if (!request.body().empty()) {
    curl_slist_append(headers.get(), "Content-Type: application/x-protobuf");
  }
  Transfer transfer{.client = this};
  error_[0] = '\0';
  tls_.Clear();
  SetConnection();
  SetTrust(request.ca_pem());
  SetRequest(request, *target, headers.get(), transfer);
  const CURLcode code = Perform(stop);
  Describe(code, *target, request.body().empty(), transfer, response);
  // Nothing of this exchange may be looked at by the next one.
  Set(CURLOPT_POSTFIELDS, static_cast<char*>(nullptr));
  Set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
  return response;
}

bool StartLibcurl() {
  static const bool kStarted = [] {
    if (curl_global_init(CURL_GLOBAL_SSL) != CURLE_OK) return false;
    const std::string_view backend =
        curl_version_info(CURLVERSION_NOW)->ssl_version;
    return backend.find("OpenSSL/3") != std::string_view::npos;
  }();
  return kStarted;
}

}  // namespace

Result<std::unique_ptr<AuthzClient>> AuthzClient::Create(
    TransportSettings settings, TransportLimits limits) {
  if (!StartLibcurl()) {
    return Fail(ErrorCode::kInternal, "libcurl with OpenSSL 3 is needed");
  }
  CurlMultiPtr multi(curl_multi_init());
  CurlPtr curl(curl_easy_init());
  if (!multi || !curl)
    return Fail(ErrorCode::kInternal, "libcurl: out of memory");
  if (settings.proxy == "none") settings.proxy.clear();
  return std::make_unique<CurlClient>(std::move(multi), std::move(curl),
                                      std::move(settings), limits);
}

}  // namespace countersign::agent
