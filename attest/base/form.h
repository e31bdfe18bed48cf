// application/x-www-form-urlencoded, as OAuth's endpoints speak it.
#ifndef COUNTERSIGN_ATTEST_BASE_FORM_H_
#define COUNTERSIGN_ATTEST_BASE_FORM_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attest/base/result.h"

namespace countersign {

inline constexpr std::string_view kFormType =
    "application/x-www-form-urlencoded";

// Everything but letters, digits and "-._~" percent-encoded.
[[nodiscard]] std::string FormEncode(std::string_view text);
[[nodiscard]] std::string FormBody(
    const std::vector<std::pair<std::string_view, std::string_view>>& fields);

// kBadRequest: a name twice, a bad escape, more than 64 fields.
[[nodiscard]] Result<std::map<std::string, std::string>> ParseForm(
    std::string_view body);

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_FORM_H_
