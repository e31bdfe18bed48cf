#include "agent/native_host/words.h"

namespace countersign::agent {
namespace {

constexpr size_t kNonceSize = 16;
// Protobuf: Response field 3 (hello) of at most 127 bytes; Hello field 1
// (nonce) of 16. The daemon's tests hold it to this form.
constexpr uint8_t kHelloTag = 0x1a;
constexpr uint8_t kNonceTag = 0x0a;
constexpr size_t kNonceAt = 4;

void Append(std::string& json, std::string_view name, std::string_view text) {
  json += ",\"";
  json += name;
  json += "\":\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  json += '"';
}

}  // namespace

std::optional<std::string> NonceOfGreeting(ByteSpan greeting) {
  if (greeting.size() < kNonceAt + kNonceSize || greeting[0] != kHelloTag ||
      greeting[1] != greeting.size() - 2 || greeting[2] != kNonceTag ||
      greeting[3] != kNonceSize) {
    return std::nullopt;
  }
  return ToBase64Url(greeting.subspan(kNonceAt, kNonceSize));
}

Result<Bytes> WithNonce(ByteSpan request, const std::string& nonce) {
  if (request.empty() || request.front() != '{') {
    return Fail(ErrorCode::kBadRequest, "not a JSON object");
  }
  Bytes whole = ToBytes(AsBytes("{\"nonce\":\"" + nonce + "\","));
  whole.insert(whole.end(), request.begin() + 1, request.end());
  return whole;
}

// The texts are those of the table and hold no control characters; the detail
// may name a path and stays here.
Bytes Refusal(const Error& error) {
  std::string json =
      "{\"error\":{\"number\":" + std::to_string(static_cast<int>(error.code));
  Append(json, "code", Name(Public(error.code)));
  Append(json, "reason", Name(error.code));
  Append(json, "message", Message(error.code));
  Append(json, "remedy", Remedy(error.code));
  json += "}}";
  return ToBytes(AsBytes(json));
}

}  // namespace countersign::agent
