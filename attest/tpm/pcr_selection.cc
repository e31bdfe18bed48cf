#include "attest/tpm/pcr_selection.h"

#include <bit>
#include <charconv>

#include "attest/tpm/constants.h"

namespace countersign::tpm {
namespace {

constexpr std::string_view kBankPrefix = "sha256:";
constexpr uint32_t kMaxBanks = 16;  // TPM2_NUM_PCR_BANKS
constexpr uint8_t kMaxBitmapSize = 4;

// Reads a PCR index off the front of `text`: one or two digits, no leading
// zero.
bool TakeIndex(std::string_view& text, int& index) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || index < 0 || index >= kPcrCount) return false;
  const auto length = static_cast<size_t>(end - text.data());
  if (length != (index < 10 ? 1u : 2u)) return false;
  text.remove_prefix(length);
  return true;
}

bool TakeChar(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<PcrSelection> PcrSelection::FromText(std::string_view text) {
  const auto bad = [] {
    return Fail(ErrorCode::kBadRequest,
                "a PCR selection reads like sha256:0-7 or sha256:0,1,2");
  };
  if (!text.starts_with(kBankPrefix)) return bad();
  text.remove_prefix(kBankPrefix.size());
  uint32_t bitmap = 0;
  int next = 0;  // Indices ascend: the lowest that may come.
  do {
    int first = 0;
    if (!TakeIndex(text, first) || first < next) return bad();
    int last = first;
    if (TakeChar(text, '-') && (!TakeIndex(text, last) || last < first)) {
      return bad();
    }
    for (int i = first; i <= last; ++i) bitmap |= 1u << i;
    next = last + 1;
  } while (TakeChar(text, ','));
  if (!text.empty()) return bad();
  return PcrSelection(bitmap);
}

std::string PcrSelection::ToText() const {
  std::string text(kBankPrefix);
  for (int first = 0; first < kPcrCount; ++first) {
    if (!Contains(first)) continue;
    int last = first;
    while (Contains(last + 1)) ++last;
    if (text.back() != ':') text += ',';
    text += std::to_string(first);
    if (last > first) text += '-' + std::to_string(last);
    first = last;
  }
  return text;
}

Bytes PcrSelection::Encode() const {
  BigEndianWriter writer;
  writer.U32(1).U16(kAlgSha256).U8(3);
  for (int shift = 0; shift < kPcrCount; shift += 8) {
    writer.U8(static_cast<uint8_t>(bitmap_ >> shift));
  }
  return std::move(writer).bytes();
}

bool PcrSelection::Matches(const std::vector<PcrBank>& banks) const {
  return banks.size() == 1 && banks[0] == PcrBank{kAlgSha256, bitmap_};
}

std::vector<uint8_t> PcrSelection::indices() const {
  std::vector<uint8_t> indices;
  for (int i = 0; i < kPcrCount; ++i) {
    if (Contains(i)) indices.push_back(static_cast<uint8_t>(i));
  }
  return indices;
}

size_t PcrSelection::size() const {
  return static_cast<size_t>(std::popcount(bitmap_));
}

Result<std::vector<PcrBank>> ReadPcrSelection(BigEndianReader& reader) {
  const uint32_t count = reader.U32();
  if (count > kMaxBanks) {
    return Fail(ErrorCode::kMalformedEvidence, "too many PCR banks");
  }
  std::vector<PcrBank> banks;
  for (uint32_t i = 0; i < count; ++i) {
    PcrBank bank{.hash = reader.U16()};
    const uint8_t size = reader.U8();
    if (size == 0 || size > kMaxBitmapSize) {
      return Fail(ErrorCode::kMalformedEvidence, "size of a PCR bitmap");
    }
    int shift = 0;
    for (uint8_t byte : reader.Take(size)) {
      bank.bitmap |= static_cast<uint32_t>(byte) << shift;
      shift += 8;
    }
    banks.push_back(bank);
  }
  if (!reader.ok()) {
    return Fail(ErrorCode::kMalformedEvidence, "PCR selection is truncated");
  }
  return banks;
}

}  // namespace countersign::tpm
