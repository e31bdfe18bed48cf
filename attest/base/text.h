// Hostile text, made safe to store, log and show.
#ifndef COUNTERSIGN_ATTEST_BASE_TEXT_H_
#define COUNTERSIGN_ATTEST_BASE_TEXT_H_

#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign {

// Valid UTF-8 (RFC 3629: no overlong forms, no surrogates).
[[nodiscard]] bool IsUtf8(std::string_view text);

// One printable line of at most `max` bytes: control characters, line breaks,
// ANSI escapes, bidirectional overrides and invalid UTF-8 appear as \u{…} or
// \x…; a cut is marked with "…". Use it for every foreign string that reaches
// a log, a terminal or an error detail.
[[nodiscard]] std::string Printable(std::string_view text, size_t max = 256);

// Text that may be stored as an identifier or name: valid UTF-8, no control or
// bidirectional characters, 1 to `max` bytes. kBadRequest naming `what`.
[[nodiscard]] Status CheckText(std::string_view text, size_t max,
                               std::string_view what);

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_TEXT_H_
