#include "attest/authz/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "attest/authz/files.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxCaFile = 1024 * 1024;
constexpr size_t kMaxUrl = 4096;
constexpr size_t kKept = 16;  // Connections that wait for the next request.

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;
using Headers = std::unique_ptr<curl_slist, FreeCurl>;

struct Transfer {
  HttpReply reply;
  size_t header_size = 0;
  size_t max_size = 0;
  bool too_large = false;
};

size_t OnBody(const char* data, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (size > transfer.max_size - transfer.reply.body.size()) {
    transfer.too_large = true;
    return 0;
  }
  transfer.reply.body.append(data, size);
  return size;
}

size_t OnHeader(const char* data, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.header_size += size;
  if (transfer.header_size > transfer.max_size) {
    transfer.too_large = true;
    return 0;
  }
  constexpr std::string_view kName = "cache-control:";
  const std::string_view line(data, size);
  if (line.size() > kName.size() &&
      curl_strnequal(data, kName.data(), kName.size()) != 0) {
    std::string_view value = line.substr(kName.size());
    const size_t begin = value.find_first_not_of(" \t");
    const size_t end = value.find_last_not_of(" \t\r\n");
    if (begin != std::string_view::npos) {
      transfer.reply.cache_control = value.substr(begin, end - begin + 1);
    }
  }
  return size;
}

// The host of a URL that IsServerUrl takes.
std::string_view HostOf(std::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  url = url.substr(0, url.find_first_of("/?"));
  if (url.starts_with('[')) return url.substr(0, url.find(']') + 1);
  return url.substr(0, url.find(':'));
}

bool HasLineBreak(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) !=
         std::string_view::npos;
}

Error ErrorOf(CURLcode code, std::string_view host, const Transfer& transfer,
              const char* detail) {
  const std::string what =
      std::string(host) + ": " +
      Printable(*detail != '\0' ? detail : curl_easy_strerror(code), 300);
  if (transfer.too_large) {
    return {ErrorCode::kTooLarge, "the answer of " + std::string(host)};
  }
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::kTimeout, what};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return {ErrorCode::kTlsFailed, what};
    default:
      return {ErrorCode::kUpstreamUnreachable, what};
  }
}

bool StartLibcurl() {
  static const bool kStarted = curl_global_init(CURL_GLOBAL_SSL) == CURLE_OK;
  return kStarted;
}

}  // namespace

bool IsServerUrl(std::string_view url) {
  if (url.size() > kMaxUrl || url.find_first_of("@#\\\" <>") != url.npos ||
      !std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7f; })) {
    return false;
  }
  const bool secure = url.starts_with("https://");
  if (!secure && !url.starts_with("http://")) return false;
  const std::string_view host = HostOf(url);
  if (host.empty()) return false;
  return secure || host == "127.0.0.1" || host == "[::1]" ||
         host == "localhost";
}

struct HttpClient::Impl {
  HttpClientOptions options;
  std::string ca_pem;
  std::mutex mutex;
  std::vector<Curl> idle;

  Curl Take() {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return Curl(curl_easy_init());
    Curl curl = std::move(idle.back());
    idle.pop_back();
    return curl;
  }
  void PutBack(Curl curl) {
    // Forgets the request's options, and keeps the connection.
    curl_easy_reset(curl.get());
    const std::lock_guard lock(mutex);
    if (idle.size() < kKept) idle.push_back(std::move(curl));
  }

  void SetUp(CURL* curl) const {
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NETRC, long{CURL_NETRC_IGNORED});
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options.connect_timeout.count()));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(options.timeout.count()));
    curl_easy_setopt(curl, CURLOPT_USERAGENT,
                     "countersign-authz/" COUNTERSIGN_VERSION);
    if (ca_pem.empty()) return;
    curl_blob blob{const_cast<char*>(ca_pem.data()), ca_pem.size(),
                   CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(curl, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::Create(
    HttpClientOptions options) {
  if (!StartLibcurl()) return Fail(ErrorCode::kInternal, "libcurl");
  auto impl = std::make_unique<Impl>();
  if (!options.ca_file.empty()) {
    CS_ASSIGN_OR_RETURN(impl->ca_pem,
                        ReadTrustedFile(options.ca_file, kMaxCaFile));
    if (impl->ca_pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
      return Fail(ErrorCode::kConfigInvalid,
                  options.ca_file + " holds no PEM certificate");
    }
  }
  impl->options = std::move(options);
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
}

Result<HttpReply> HttpClient::Send(const HttpCall& call) {
  if (!IsServerUrl(call.url)) {
    return Fail(
        ErrorCode::kConfigInvalid,
        "not a URL that the service may ask: " + Printable(call.url, 200));
  }
  Headers headers(curl_slist_append(nullptr, "Expect:"));
  std::vector<std::string> lines = call.headers;
  lines.push_back("Accept: " + call.accept);
  if (!call.body.empty()) {
    lines.push_back("Content-Type: " + call.content_type);
  }
  for (const std::string& line : lines) {
    if (HasLineBreak(line)) {
      return Fail(ErrorCode::kConfigInvalid,
                  "a header field with a line break");
    }
    curl_slist_append(headers.get(), line.c_str());
  }
  Curl curl = impl_->Take();
  if (!curl) return Fail(ErrorCode::kInternal, "libcurl: out of memory");
  Transfer transfer;
  transfer.max_size = impl_->options.max_answer;
  std::array<char, CURL_ERROR_SIZE> detail{};
  impl_->SetUp(curl.get());
  curl_easy_setopt(curl.get(), CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &transfer);
  if (!call.body.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_POST, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(call.body.size()));
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, call.body.data());
  }
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) {
    return tl::unexpected<Error>(
        ErrorOf(code, HostOf(call.url), transfer, detail.data()));
  }
  long status = 0;
  const char* type = nullptr;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl.get(), CURLINFO_CONTENT_TYPE, &type);
  transfer.reply.status = static_cast<int>(status);
  if (type != nullptr) transfer.reply.content_type = type;
  impl_->PutBack(std::move(curl));
  return std::move(transfer.reply);
}

}  // namespace countersign::authz
