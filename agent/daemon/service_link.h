// One request to the authorization service and its verified answer.
//
// The answer's signature is checked here, under pinned keys, against issuer,
// device, kind and the exact bytes that were asked: a compromised uplink can
// delay an answer and never make one. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_SERVICE_LINK_H_
#define COUNTERSIGN_AGENT_DAEMON_SERVICE_LINK_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/daemon/uplink_channel.h"
#include "attest/base/clock.h"
#include "attest/jose/jwk_set.h"

namespace countersign::agent {

// Where answers come from and whose signature they need.
struct ServiceAddress {
  std::string issuer;    // Base URL, and the issuer that answers name.
  std::string audience;  // device_id in hex; "" before there is one.
  std::string ca_pem;
  std::shared_ptr<const jose::KeySet> keys;
};

struct ServiceAnswer {
  std::string payload;       // The message that its kind names.
  std::string jws;           // What signs it, for a record that is kept.
  std::string tls_exporter;  // The uplink's claim; the service checks it.
  int64_t issued_at_s = 0;   // The service's clock when it signed.
};

// A request that was not answered as asked. `retry_after_s` is a hint that
// came with it, bounded; 0: none.
struct ServiceFailure {
  Error error;
  uint32_t retry_after_s = 0;
  // The service itself refused, by a signed answer. Otherwise no valid answer
  // came, and whether the request was carried out is unknown.
  bool refused = false;
};

using ServiceResult = tl::expected<ServiceAnswer, ServiceFailure>;

class ServiceLink {
 public:
  using Done = std::function<void(ServiceResult)>;

  static constexpr std::string_view kControl = "control";
  static constexpr std::string_view kActions = "actions";
  static constexpr std::string_view kEvents = "events";

  ServiceLink(UplinkChannel& uplink, const Clock& clock)
      : uplink_(uplink), clock_(clock) {}

  // POSTs `body`; `done` runs once, later. Its error is one of
  //   kUplinkDown, kServiceUnreachable, kTimeout, kTlsFailed, kAnswerInvalid
  //   what a signed refusal says (then `refused`)
  void Post(const ServiceAddress& to, std::string_view lane,
            std::string_view path, std::string body, std::string_view kind,
            uint32_t timeout_ms, Done done);

  // GETs the service's keys at first contact. Unverified: the caller compares
  // thumbprints.
  void FetchKeys(const std::string& issuer, const std::string& ca_pem,
                 uint32_t timeout_ms,
                 std::function<void(Result<std::string>)> done);

  // The service's clock, from its last answer; the host's before there is one.
  // What other machines compare with their clocks uses it, so that the
  // laptop's own may be wrong.
  [[nodiscard]] int64_t ServiceNowS() const;

  // The service's word that it takes nothing from this device any more, since
  // it last took something; null: it does, as far as is known.
  [[nodiscard]] const Error* device_refusal() const {
    return device_refusal_.get();
  }

  // Another enrollment begins: what was said of the one before is void.
  void ForgetRefusal() { device_refusal_.reset(); }

  // When a verified answer last came (host clock; 0: never) and what was
  // wrong since; for `status`.
  [[nodiscard]] int64_t last_answer_ms() const { return last_answer_ms_; }
  [[nodiscard]] const Error* last_error() const { return last_error_.get(); }

 private:
  void Note(const ServiceResult& result, std::string_view kind);

  UplinkChannel& uplink_;
  const Clock& clock_;
  int64_t last_answer_ms_ = 0;
  int64_t service_ahead_of_mono_s_ = 0;
  bool knows_service_clock_ = false;
  std::unique_ptr<Error> last_error_;
  std::unique_ptr<Error> device_refusal_;
};

// What `response` (hostile: from the uplink) is worth as the answer to the
// request with `request_sha256`. Errors as ServiceLink::Post, but for those of
// the uplink itself.
[[nodiscard]] ServiceResult VerifyResponse(const ServiceAddress& from,
                                           std::string_view kind,
                                           const Sha256Digest& request_sha256,
                                           v1::UplinkResponse response);

// True for errors after which the same request may succeed later.
[[nodiscard]] bool MayHeal(const ServiceFailure& failure);

// True if the service refused the device as such (revoked, unknown, enrolled
// anew elsewhere), so that nothing of it will be taken.
[[nodiscard]] bool RefusesDevice(const ServiceFailure& failure);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_SERVICE_LINK_H_
