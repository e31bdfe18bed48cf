// One line of an audit: a fact, what shows it, and whether that held when it
// was computed again just now.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_CHECKED_LINE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_CHECKED_LINE_H_

#include <cstdint>
#include <string>

#include "attest/base/result.h"

namespace countersign::authz {

enum class Mark : uint8_t {
  kOk,
  kFailed,
  kAbsent,  // There is nothing to check.
  kErased,  // There is nothing left to check it with.
};

struct CheckedLine {
  std::string key;  // Stable, for programs.
  Mark mark = Mark::kAbsent;
  std::string fact;
  std::string proof;
};

[[nodiscard]] CheckedLine Line(std::string key, bool holds, std::string fact,
                               std::string proof);
[[nodiscard]] CheckedLine Unknown(std::string key, std::string fact,
                                  std::string proof);
// Something that could not be established because of `error`: kNotFound is
// evidence that was erased, which the ledger is made to survive; anything else
// is broken.
[[nodiscard]] CheckedLine Lost(std::string key, std::string fact,
                               const Error& error);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_CHECKED_LINE_H_
