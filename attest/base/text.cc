#include "attest/base/text.h"

#include <cstdint>
#include <cstdio>

namespace countersign {
namespace {

struct Decoded {
  uint32_t code_point = 0;
  size_t size = 0;  // 0: invalid at this place.
};

Decoded DecodeOne(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  size_t size = 0;
  uint32_t value = 0;
  uint32_t smallest = 0;
  if ((first & 0xe0) == 0xc0) {
    size = 2, value = first & 0x1f, smallest = 0x80;
  } else if ((first & 0xf0) == 0xe0) {
    size = 3, value = first & 0x0f, smallest = 0x800;
  } else if ((first & 0xf8) == 0xf0) {
    size = 4, value = first & 0x07, smallest = 0x10000;
  } else {
    return {};
  }
  if (text.size() < size) return {};
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  if (value < smallest || value > 0x10ffff) return {};
  if (value >= 0xd800 && value <= 0xdfff) return {};
  return {value, size};
}

// Controls, line and paragraph separators, bidirectional controls, zero-width
// characters and the byte-order mark: what can forge a log line or hide text.
bool IsUnsafe(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x2069) || c == 0xfeff ||
         (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

// How much of `text` is plain ASCII at its start: nearly always all of it.
size_t PlainPrefix(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && text[size] >= 0x20 && text[size] < 0x7f) ++size;
  return size;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Decoded decoded = DecodeOne(text);
    if (decoded.size == 0) return false;
    text.remove_prefix(decoded.size);
  }
  return true;
}

std::string Printable(std::string_view text, size_t max) {
  std::string out;
  while (!text.empty()) {
    const Decoded decoded = DecodeOne(text);
    char escape[16];
    std::string_view piece = text.substr(0, decoded.size);
    if (decoded.size == 0) {
      std::snprintf(escape, sizeof(escape), "\\x%02x",
                    static_cast<unsigned>(static_cast<uint8_t>(text[0])));
      piece = escape;
    } else if (IsUnsafe(decoded.code_point)) {
      std::snprintf(escape, sizeof(escape), "\\u{%x}",
                    static_cast<unsigned>(decoded.code_point));
      piece = escape;
    }
    if (out.size() + piece.size() > max) return out + "…";
    out += piece;
    text.remove_prefix(decoded.size == 0 ? 1 : decoded.size);
  }
  return out;
}

Status CheckText(std::string_view text, size_t max, std::string_view what) {
  const auto fail = [&](std::string_view why) {
    return Fail(ErrorCode::kBadRequest,
                std::string(what) + " " + std::string(why));
  };
  if (text.empty()) return fail("is empty");
  if (text.size() > max) {
    return fail("is longer than " + std::to_string(max) + " bytes");
  }
  text.remove_prefix(PlainPrefix(text));
  while (!text.empty()) {
    const Decoded decoded = DecodeOne(text);
    if (decoded.size == 0) return fail("is not valid UTF-8");
    if (IsUnsafe(decoded.code_point)) {
      return fail("has a control or invisible character");
    }
    text.remove_prefix(decoded.size);
    text.remove_prefix(PlainPrefix(text));
  }
  return {};
}

}  // namespace countersign
