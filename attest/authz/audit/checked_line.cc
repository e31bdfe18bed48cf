#include "attest/authz/audit/checked_line.h"

#include "attest/base/text.h"

namespace countersign::authz {

CheckedLine Line(std::string key, bool holds, std::string fact,
                 std::string proof) {
  return {std::move(key), holds ? Mark::kOk : Mark::kFailed, std::move(fact),
          std::move(proof)};
}

CheckedLine Unknown(std::string key, std::string fact, std::string proof) {
  return {std::move(key), Mark::kAbsent, std::move(fact), std::move(proof)};
}

CheckedLine Lost(std::string key, std::string fact, const Error& error) {
  if (error.code == ErrorCode::kNotFound) {
    return {std::move(key), Mark::kErased, std::move(fact),
            "cannot be checked any more: " + Printable(error.detail)};
  }
  std::string why(Message(error.code));
  if (!error.detail.empty()) why += " (" + Printable(error.detail) + ")";
  return {std::move(key), Mark::kFailed, std::move(fact), std::move(why)};
}

}  // namespace countersign::authz
