// Strict little-endian reading: of all that TPMs bring along, only the event
// log has this byte order, so the reader lives here.
#ifndef COUNTERSIGN_ATTEST_TPM_LITTLE_ENDIAN_H_
#define COUNTERSIGN_ATTEST_TPM_LITTLE_ENDIAN_H_

#include <concepts>

#include "attest/base/bytes.h"

namespace countersign::tpm {

// As BigEndianReader: the first short read makes it fail for good.
class LittleEndianReader {
 public:
  explicit LittleEndianReader(ByteSpan data) : rest_(data) {}

  template <std::unsigned_integral T>
  T Read() {
    T value = 0;
    int shift = 0;
    for (uint8_t byte : Take(sizeof(T))) {
      value = static_cast<T>(value | static_cast<T>(byte) << shift);
      shift += 8;
    }
    return value;
  }
  uint8_t U8() { return Read<uint8_t>(); }
  uint16_t U16() { return Read<uint16_t>(); }
  uint32_t U32() { return Read<uint32_t>(); }

  // The next `size` bytes, or none.
  ByteSpan Take(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const ByteSpan taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  ByteSpan rest_;
  bool ok_ = true;
};

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_LITTLE_ENDIAN_H_
