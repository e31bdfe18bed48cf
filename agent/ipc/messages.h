// Request and Response on the local socket, as protobuf or as its JSON mapping
// (first byte '{'); a caller is answered in the kind that it used.
//
// JSON is checked (json_guard.h) before protobuf's lenient parser sees it:
// duplicate keys, depth and encoding. Unknown JSON fields are refused, since a
// misspelt field would otherwise silently change what is asked; unknown
// protobuf fields are dropped, as a newer client may send them.
#ifndef COUNTERSIGN_AGENT_IPC_MESSAGES_H_
#define COUNTERSIGN_AGENT_IPC_MESSAGES_H_

#include "agent/ipc/frame.h"
#include "attest/base/result.h"
#include "countersign/v1/agent.pb.h"

namespace countersign::agent {

enum class Encoding : uint8_t { kProtobuf, kJson };

struct DecodedRequest {
  v1::Request request;
  Encoding encoding = Encoding::kProtobuf;
};

// What a payload is by its first byte, well formed or not: whoever sent it is
// refused in kind.
[[nodiscard]] Encoding EncodingOf(ByteSpan payload);

// `payload` is hostile, at most kMaxClientFrame bytes.
//   kTooLarge         over the bound
//   kBadRequest       JSON that CheckJson refuses
//   kFrameMalformed   not a Request in either form
[[nodiscard]] Result<DecodedRequest> DecodeRequest(ByteSpan payload);
// The same for what a daemon sends; a client does not trust it more.
[[nodiscard]] Result<v1::Response> DecodeResponse(ByteSpan payload);

// The bytes of a frame's payload. kTooLarge when they would not fit a client
// frame; kInternal when protobuf refuses to serialise (invalid UTF-8).
[[nodiscard]] Result<Bytes> EncodeRequest(const v1::Request& request,
                                          Encoding encoding);
[[nodiscard]] Result<Bytes> EncodeResponse(const v1::Response& response,
                                           Encoding encoding);

// An Error with its public code, message and remedy, as it travels; and back.
// An unknown number from a newer daemon becomes kInternal with its texts in
// the detail.
[[nodiscard]] v1::ErrorInfo ToErrorInfo(const Error& error);
[[nodiscard]] Error FromErrorInfo(const v1::ErrorInfo& info);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_IPC_MESSAGES_H_
