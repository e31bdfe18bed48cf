// Strict generic URI syntax (RFC 3986): parts, and the form in which two of
// them are compared. Never resolves or fetches anything.
#ifndef COUNTERSIGN_ATTEST_BASE_URI_H_
#define COUNTERSIGN_ATTEST_BASE_URI_H_

#include <optional>
#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign {

struct Uri {
  std::string scheme;                    // Lower case.
  std::optional<std::string> authority;  // Absent: no "//".
  std::string path;
  std::optional<std::string> query;     // Without '?'.
  std::optional<std::string> fragment;  // Without '#'.
};

// Parses hostile text. kBadRequest: no scheme; a character that RFC 3986 does
// not allow in that place, white space and non-ASCII included; '%' without
// two hex digits; a malformed authority; http or https without host or with
// user information; nothing after the scheme.
[[nodiscard]] Result<Uri> ParseUri(std::string_view text);

// Scheme, authority and path as RFC 3986 §6.2.2 and §6.2.3 normalise them:
// case, needless percent-encoding, dot segments, the default port, an empty
// path. Leaves out query and fragment, as DPoP's htu does (RFC 9449 §4.2).
[[nodiscard]] std::string NormalizedTarget(const Uri& uri);

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_URI_H_
