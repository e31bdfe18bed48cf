// Strict big-endian reading and writing, as TCG structures need it. A reader
// never reads past its end: the first short read makes it fail for good.
#ifndef COUNTERSIGN_ATTEST_BASE_BIG_ENDIAN_H_
#define COUNTERSIGN_ATTEST_BASE_BIG_ENDIAN_H_

#include <concepts>

#include "attest/base/bytes.h"

namespace countersign {

// Reads from hostile bytes. Values read after a failure are zero or empty;
// check ok() (or AtEnd()) once at the end. `data` must outlive the reader.
class BigEndianReader {
 public:
  explicit BigEndianReader(ByteSpan data) : rest_(data) {}

  template <std::unsigned_integral T>
  T Read() {
    T value = 0;
    for (uint8_t byte : Take(sizeof(T))) {
      value = static_cast<T>(static_cast<uint64_t>(value) << 8 | byte);
    }
    return value;
  }
  uint8_t U8() { return Read<uint8_t>(); }
  uint16_t U16() { return Read<uint16_t>(); }
  uint32_t U32() { return Read<uint32_t>(); }
  uint64_t U64() { return Read<uint64_t>(); }

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
  // A TPM2B: a 16-bit size, then that many bytes, at most `max`.
  ByteSpan Sized16(size_t max) {
    const size_t size = U16();
    if (size > max) ok_ = false;
    return Take(size);
  }

  [[nodiscard]] ByteSpan rest() const { return rest_; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  ByteSpan rest_;
  bool ok_ = true;
};

class BigEndianWriter {
 public:
  template <std::unsigned_integral T>
  BigEndianWriter& Write(T value) {
    for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0;
         shift -= 8) {
      bytes_.push_back(static_cast<uint8_t>(value >> shift));
    }
    return *this;
  }
  BigEndianWriter& U8(uint8_t value) { return Write(value); }
  BigEndianWriter& U16(uint16_t value) { return Write(value); }
  BigEndianWriter& U32(uint32_t value) { return Write(value); }
  BigEndianWriter& U64(uint64_t value) { return Write(value); }
  BigEndianWriter& Raw(ByteSpan bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  // A TPM2B. `bytes` is at most 65,535 long.
  BigEndianWriter& Sized16(ByteSpan bytes) {
    return U16(static_cast<uint16_t>(bytes.size())).Raw(bytes);
  }

  [[nodiscard]] const Bytes& bytes() const& { return bytes_; }
  [[nodiscard]] Bytes bytes() && { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_BASE_BIG_ENDIAN_H_
