// The identity provider, as the service asks it: what it says of itself, its
// keys, and its token endpoint.
//
// What it says comes over TLS from where the configuration points, and is
// hostile still: bounded, parsed strictly, and believed about its own users
// alone. While it is down, what it said last goes on to hold. Thread-safe;
// calls block for as long as an HTTP exchange, so only so many run at once,
// and nothing else waits for them.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_PROVIDER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_PROVIDER_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "attest/authz/http_client.h"
#include "attest/authz/login/cached_document.h"
#include "attest/authz/login/id_token.h"
#include "attest/authz/login/provider_metadata.h"
#include "attest/base/secret.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// Who signed in, with the claims as they were signed.
struct SignedIn {
  IdTokenClaims claims;
  std::string claims_json;
};

// RFC 8628 §3.2; texts are printable.
struct DeviceAuthorization {
  std::string device_code;
  v1::DevicePrompt prompt;  // Without pending_id.
};

class Provider {
 public:
  static constexpr int kMaxAtOnce = 4;

  // `config` and `clock` outlive this. Asks nobody yet.
  //   kConfigInvalid, kIoError, kUnsafePath  of the CA or secret file
  [[nodiscard]] static Result<std::unique_ptr<Provider>> Create(
      const OidcConfig& config, const Clock& clock);

  // Every function below also gives
  //   kBusy                 kMaxAtOnce calls are under way
  //   kUpstreamUnreachable, kTimeout, kTlsFailed, kTooLarge   of the exchange
  //   kProviderInvalid      its metadata, keys or answer cannot be used

  // What the agent needs to send the user there.
  [[nodiscard]] Result<v1::LoginProvider> Facts();

  // Redeems `code` and checks the ID token, whose nonce must be `nonce`.
  //   kProviderRefused  an OAuth error; the detail has its code
  //   the errors of VerifyForeignJws and CheckIdToken
  struct Code {
    std::string code;
    std::string verifier;
    std::string redirect_uri;
  };
  [[nodiscard]] Result<SignedIn> Redeem(const Code& code,
                                        const std::string& nonce);

  // Asks for a code that the user types elsewhere. kNotSupported: the
  // provider has no device flow.
  [[nodiscard]] Result<DeviceAuthorization> StartDevice();
  // Whether the user has done so: nothing while not. `slow_down` is set when
  // the provider asks for longer intervals.
  [[nodiscard]] Result<std::optional<SignedIn>> PollDevice(
      const std::string& device_code, bool* slow_down);

  // Checks a logout token (hostile: anybody may post one).
  [[nodiscard]] Result<LogoutClaims> CheckLogout(std::string_view token);

 private:
  using Metadata = CachedDocument<ProviderMetadata>;
  using Keys = CachedDocument<jose::ForeignKeySet>;
  class Turn;

  Provider(const OidcConfig& config, const Clock& clock,
           std::unique_ptr<HttpClient> http, Secret secret);

  [[nodiscard]] Result<Metadata::Fetched> FetchMetadata();
  [[nodiscard]] Result<Keys::Fetched> FetchKeys();
  // The claims of a token whose signature holds.
  [[nodiscard]] Result<std::string> Verify(
      std::string_view token, std::span<const std::string_view> types);
  [[nodiscard]] Result<HttpReply> PostForm(const std::string& url,
                                           std::string form);
  [[nodiscard]] Result<SignedIn> SignedInFrom(
      const std::string& body, const std::optional<std::string>& nonce);

  const OidcConfig& config_;
  const Clock& clock_;
  const std::unique_ptr<HttpClient> http_;
  const Secret secret_;
  Metadata metadata_;
  Keys keys_;
  std::atomic<int> under_way_{0};
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_PROVIDER_H_
