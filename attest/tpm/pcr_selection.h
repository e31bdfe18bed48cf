// Which PCRs a quote covers. We ask for the sha256 bank only; what a TPM says
// that it quoted may be anything, and is compared by value.
#ifndef COUNTERSIGN_ATTEST_TPM_PCR_SELECTION_H_
#define COUNTERSIGN_ATTEST_TPM_PCR_SELECTION_H_

#include "attest/base/big_endian.h"

namespace countersign::tpm {

inline constexpr int kPcrCount = 24;

// One TPMS_PCR_SELECTION as quoted, whatever the width of its bitmap was.
struct PcrBank {
  uint16_t hash = 0;
  uint32_t bitmap = 0;  // Bit i is PCR i.

  bool operator==(const PcrBank&) const = default;
};

// Indices in the sha256 bank, ascending, 0 to 23, never empty.
class PcrSelection {
 public:
  // PCRs 0-7: firmware, its settings, boot loader, Secure Boot.
  static PcrSelection Default() { return PcrSelection(0xff); }

  // "sha256:0-7", "sha256:0,1,2" or "sha256:0-7,11"; ascending, no index
  // twice. kBadRequest for anything else.
  [[nodiscard]] static Result<PcrSelection> FromText(std::string_view text);
  // The shortest text, e.g. "sha256:0-7,11".
  [[nodiscard]] std::string ToText() const;

  // TPML_PCR_SELECTION with one bank and a 3-byte bitmap.
  [[nodiscard]] Bytes Encode() const;

  // True if `banks` is exactly this: one bank, sha256, the same indices.
  [[nodiscard]] bool Matches(const std::vector<PcrBank>& banks) const;

  [[nodiscard]] std::vector<uint8_t> indices() const;
  [[nodiscard]] uint32_t bitmap() const { return bitmap_; }
  [[nodiscard]] size_t size() const;
  [[nodiscard]] bool Contains(int pcr) const {
    return pcr >= 0 && pcr < kPcrCount && (bitmap_ >> pcr & 1) != 0;
  }

  bool operator==(const PcrSelection&) const = default;

 private:
  explicit PcrSelection(uint32_t bitmap) : bitmap_(bitmap) {}

  uint32_t bitmap_;
};

// Reads a hostile TPML_PCR_SELECTION (Part 2 §10.9.7): at most 16 banks, each
// with a bitmap of 1 to 4 bytes, none past PCR 31. kMalformedEvidence.
[[nodiscard]] Result<std::vector<PcrBank>> ReadPcrSelection(
    BigEndianReader& reader);

}  // namespace countersign::tpm

#endif  // COUNTERSIGN_ATTEST_TPM_PCR_SELECTION_H_
