// Strict application/x-www-form-urlencoded (the WHATWG form that RFC 6749
// appendix B names): the body of every OAuth request here.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_FORM_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_FORM_H_

#include <map>
#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign::authz {

// The text that `encoded` stands for. kBadRequest: '%' without two hex digits,
// a control character, not UTF-8.
[[nodiscard]] Result<std::string> FormDecoded(std::string_view encoded);

class Form {
 public:
  static constexpr size_t kMaxBody = 16 * 1024;
  static constexpr size_t kMaxParameters = 32;
  static constexpr size_t kMaxName = 64;
  static constexpr size_t kMaxValue = 8 * 1024;

  // Parses a hostile body.
  //   kBadRequest  another Content-Type; as FormDecoded; a parameter twice
  //                (RFC 6749 §3.2), also those that RFC 8693 lets repeat: a
  //                grant is for one audience
  //   kTooLarge    over one of the bounds
  [[nodiscard]] static Result<Form> Parse(std::string_view content_type,
                                          std::string_view body);

  // Empty if it is absent: RFC 6749 §3.2 makes no difference.
  [[nodiscard]] const std::string& Get(std::string_view name) const;
  // kBadRequest naming it if it is absent or empty.
  [[nodiscard]] Result<std::string> Required(std::string_view name) const;

 private:
  std::map<std::string, std::string, std::less<>> parameters_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_FORM_H_
