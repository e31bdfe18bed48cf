// Decides whether hostile JSON text is safe to hand to a lenient parser.
//
// protobuf's JSON mapping and nlohmann-json both take the last of two equal
// keys and recurse as deep as the text says. Two readers that differ on such
// text would see two different requests, so it is refused before either reads.
#ifndef COUNTERSIGN_ATTEST_BASE_JSON_GUARD_H_
#define COUNTERSIGN_ATTEST_BASE_JSON_GUARD_H_

#include <string_view>

#include "attest/base/result.h"

namespace countersign {

inline constexpr int kMaxJsonDepth = 32;

// kTooLarge    longer than `max_size` bytes
// kBadRequest  not exactly one RFC 8259 value; a byte-order mark; a NUL byte;
//              not UTF-8; a lone surrogate; a key twice in one object (after
//              unescaping); deeper than kMaxJsonDepth; a number outside
//              double's range
[[nodiscard]] Status CheckJson(std::string_view text, size_t max_size);

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_JSON_GUARD_H_
