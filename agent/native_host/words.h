// The few bytes of the two protocols that the relay makes or looks at itself.
// Everything else passes through it unread. Pure.
#ifndef COUNTERSIGN_AGENT_NATIVE_HOST_WORDS_H_
#define COUNTERSIGN_AGENT_NATIVE_HOST_WORDS_H_

#include <optional>
#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::agent {

// What WithNonce adds to a request.
inline constexpr size_t kNonceRoom = 64;

// The nonce in the daemon's greeting, as base64url. Looks at the fixed start
// of a protobuf Response{hello{nonce}} and at nothing else; nothing when the
// daemon said something else, which is a refusal.
[[nodiscard]] std::optional<std::string> NonceOfGreeting(ByteSpan greeting);

// `request` with the nonce as its first member. The daemon refuses a request
// that names a nonce of its own besides: JSON keys must not repeat there.
//   kBadRequest  not a JSON object
[[nodiscard]] Result<Bytes> WithNonce(ByteSpan request,
                                      const std::string& nonce);

// An answer of the relay's own: a Response{error} in JSON without request_id.
// Whoever gets one takes every request without an answer for failed with it.
[[nodiscard]] Bytes Refusal(const Error& error);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_NATIVE_HOST_WORDS_H_
