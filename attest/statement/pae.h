// The part of a pre-authentication encoding before the body, built without
// allocating: hashing leaves is what bounds a batch. Used inside this folder.
#ifndef COUNTERSIGN_ATTEST_STATEMENT_PAE_H_
#define COUNTERSIGN_ATTEST_STATEMENT_PAE_H_

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "attest/base/bytes.h"

namespace countersign::statement {

class PaePrefix {
 public:
  PaePrefix(std::string_view type_uri, size_t body_size) {
    Append("DSSEv1 ");
    AppendNumber(type_uri.size());
    Append(" ");
    Append(type_uri);
    Append(" ");
    AppendNumber(body_size);
    Append(" ");
  }

  [[nodiscard]] ByteSpan bytes() const {
    if (!overflow_.empty()) return AsBytes(overflow_);
    return AsBytes({fixed_.data(), size_});
  }

 private:
  // Every type of ours fits; a longer one goes to the heap.
  static constexpr size_t kFixed = 160;

  void Append(std::string_view text) {
    if (overflow_.empty() && size_ + text.size() <= kFixed) {
      std::ranges::copy(text, fixed_.begin() + size_);
      size_ += text.size();
      return;
    }
    if (overflow_.empty()) overflow_.assign(fixed_.data(), size_);
    overflow_ += text;
  }
  void AppendNumber(size_t number) {
    std::array<char, 20> digits;
    const char* end =
        std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    Append({digits.data(), static_cast<size_t>(end - digits.data())});
  }

  std::array<char, kFixed> fixed_;
  size_t size_ = 0;
  std::string overflow_;
};

}  // namespace countersign::statement

#endif  // COUNTERSIGN_ATTEST_STATEMENT_PAE_H_
