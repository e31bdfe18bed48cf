// The service's answers to agents: a payload and a JWS that binds it to the
// issuer, the device, the kind of answer and the request it answers. The
// uplink carries them and can neither make nor swap one.
//
//   typ    countersign-answer+jwt
//   claims {iss, aud, kind, iat, request_sha256, payload_sha256}
//          aud: device_id in hex, "" before the device has one;
//          digests: base64url(SHA-256(bytes))
#ifndef COUNTERSIGN_ATTEST_JOSE_SIGNED_ANSWER_H_
#define COUNTERSIGN_ATTEST_JOSE_SIGNED_ANSWER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "attest/jose/jwk_set.h"
#include "countersign/v1/evidence.pb.h"

namespace countersign::jose {

// The kinds of answer (service.proto).
inline constexpr std::string_view kKindEnrollment = "enrollment-challenge";
inline constexpr std::string_view kKindDeviceRecord = "device-record";
inline constexpr std::string_view kKindChallenge = "challenge";
inline constexpr std::string_view kKindSession = "session";
inline constexpr std::string_view kKindDecisions = "decisions";
inline constexpr std::string_view kKindLogin = "login";
inline constexpr std::string_view kKindEvents = "events";
inline constexpr std::string_view kKindError = "error";

struct AnswerAddress {
  std::string issuer;
  std::string audience;
  std::string kind;
};

// `request` and `payload` are the exact bytes of the HTTP bodies' messages.
[[nodiscard]] Result<v1::ServiceSigned> SignAnswer(const Es256Signer& key,
                                                   const AnswerAddress& address,
                                                   ByteSpan request,
                                                   std::string payload,
                                                   int64_t now_s);

// Checks `answer` (hostile: it came through the uplink) and returns its
// payload. Freshness rests on the request's own random nonce; no clock is
// read. `request_sha256` is left out only for a record that outlives its
// request: a DeviceRecord in an evidence bundle.
//   kAnswerInvalid  the JWS does not hold under `keys`, or issuer, audience,
//                   kind, request or payload is another (detail says which)
// A signed refusal (kind "error", everything else as expected) becomes the
// Error that it carries; kServiceRejected if this version does not know it.
[[nodiscard]] Result<std::string> VerifyAnswer(
    const KeySet& keys, const AnswerAddress& expected,
    const std::optional<Sha256Digest>& request_sha256,
    const v1::ServiceSigned& answer);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_SIGNED_ANSWER_H_
