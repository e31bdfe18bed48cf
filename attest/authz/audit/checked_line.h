// One line of an audit: a fact, what shows it, and whether that held when it
// was computed again just now.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_CHECKED_LINE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_CHECKED_LINE_H_

#include <cstdint>
#include <string>

namespace countersign::authz {

enum class Mark : uint8_t {
  kOk,
  kFailed,
  kAbsent,  // Nothing to check, or nothing left to check it with.
};

struct CheckedLine {
  std::string key;  // Stable, for programs.
  Mark mark = Mark::kAbsent;
  std::string fact;
  std::string proof;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_CHECKED_LINE_H_
