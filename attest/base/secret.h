// A byte string that zeroes itself and cannot be printed, copied by accident
// or compared in variable time. Reading it takes the word Expose.
#ifndef COUNTERSIGN_ATTEST_BASE_SECRET_H_
#define COUNTERSIGN_ATTEST_BASE_SECRET_H_

#include <string.h>

#include "attest/base/bytes.h"

namespace countersign {

class Secret {
 public:
  Secret() = default;
  explicit Secret(Bytes bytes) : bytes_(std::move(bytes)) {}
  Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) {
    other.bytes_.clear();
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Wipe();
      bytes_ = std::move(other.bytes_);
      other.bytes_.clear();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { Wipe(); }

  [[nodiscard]] Secret Clone() const { return Secret(bytes_); }
  [[nodiscard]] ByteSpan Expose() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

 private:
  void Wipe() {
    if (!bytes_.empty()) explicit_bzero(bytes_.data(), bytes_.size());
  }
  Bytes bytes_;
};

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_SECRET_H_
