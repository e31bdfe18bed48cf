// Byte strings and their text forms: hex and base64url (RFC 4648 §5, no
// padding). Decoders are strict: one valid text for one byte string.
#ifndef COUNTERSIGN_ATTEST_BASE_BYTES_H_
#define COUNTERSIGN_ATTEST_BASE_BYTES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/result.h"

namespace countersign {

using Bytes = std::vector<uint8_t>;
using ByteSpan = std::span<const uint8_t>;
using Sha256Digest = std::array<uint8_t, 32>;

// The bytes of a string (protobuf `bytes` fields are std::string) and back.
[[nodiscard]] inline ByteSpan AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string AsString(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline Bytes ToBytes(ByteSpan bytes) {
  return {bytes.begin(), bytes.end()};
}
[[nodiscard]] inline bool Equal(ByteSpan a, ByteSpan b) {
  return std::ranges::equal(a, b);
}

// Compares without revealing where the two differ; the length is not secret.
[[nodiscard]] bool ConstantTimeEqual(ByteSpan a, ByteSpan b);

// A digest, if `bytes` is exactly 32 long; else kBadRequest naming `what`.
[[nodiscard]] Result<Sha256Digest> DigestFrom(ByteSpan bytes,
                                              std::string_view what);

// Lower-case hex. Decoding takes either case and an even length.
[[nodiscard]] std::string ToHex(ByteSpan bytes);
[[nodiscard]] Result<Bytes> FromHex(std::string_view text);

// Decoding refuses padding, white space and non-zero unused bits.
[[nodiscard]] std::string ToBase64Url(ByteSpan bytes);
[[nodiscard]] Result<Bytes> FromBase64Url(std::string_view text);
// The padded standard alphabet (RFC 4648 §4), as signed notes use it.
[[nodiscard]] std::string ToBase64(ByteSpan bytes);
[[nodiscard]] Result<Bytes> FromBase64(std::string_view text);

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_BYTES_H_
