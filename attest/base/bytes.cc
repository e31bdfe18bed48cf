#include "attest/base/bytes.h"

namespace countersign {
namespace {

constexpr std::string_view kUrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kStandardAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> Reverse(std::string_view alphabet) {
  std::array<int8_t, 256> table{};
  table.fill(-1);
  for (size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
  }
  return table;
}

constexpr auto kUrlReverse = Reverse(kUrlAlphabet);
constexpr auto kStandardReverse = Reverse(kStandardAlphabet);

// Whole groups without a branch for each character: tokens are made by the
// thousand.
std::string Encode(ByteSpan bytes, std::string_view alphabet) {
  std::string text((bytes.size() * 4 + 2) / 3, '\0');
  char* out = text.data();
  const auto put = [&](uint32_t group, int characters) {
    for (int shift = 18; characters > 0; --characters, shift -= 6) {
      *out++ = alphabet[(group >> shift) & 63];
    }
  };
  for (; bytes.size() >= 3; bytes = bytes.subspan(3)) {
    put(uint32_t{bytes[0]} << 16 | uint32_t{bytes[1]} << 8 | bytes[2], 4);
  }
  if (bytes.size() == 2) {
    put(uint32_t{bytes[0]} << 16 | uint32_t{bytes[1]} << 8, 3);
  } else if (bytes.size() == 1) {
    put(uint32_t{bytes[0]} << 16, 2);
  }
  return text;
}

Result<Bytes> Decode(std::string_view text,
                     const std::array<int8_t, 256>& reverse) {
  if (text.size() % 4 == 1) {
    return Fail(ErrorCode::kBadRequest, "base64 text of impossible length");
  }
  Bytes bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t buffer = 0;
  int bits = 0;
  for (char c : text) {
    const int8_t value = reverse[static_cast<uint8_t>(c)];
    if (value < 0) {
      return Fail(ErrorCode::kBadRequest, "character not of base64");
    }
    buffer = (buffer << 6) | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<uint8_t>(buffer >> bits));
    }
  }
  if ((buffer & ((1u << bits) - 1)) != 0) {
    return Fail(ErrorCode::kBadRequest, "base64 text has unused bits set");
  }
  return bytes;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool ConstantTimeEqual(ByteSpan a, ByteSpan b) {
  if (a.size() != b.size()) return false;
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

Result<Sha256Digest> DigestFrom(ByteSpan bytes, std::string_view what) {
  Sha256Digest digest;
  if (bytes.size() != digest.size()) {
    return Fail(ErrorCode::kBadRequest,
                std::string(what) + " is not 32 bytes long");
  }
  std::ranges::copy(bytes, digest.begin());
  return digest;
}

std::string ToHex(ByteSpan bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

Result<Bytes> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return Fail(ErrorCode::kBadRequest, "hex text of odd length");
  }
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]);
    const int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) {
      return Fail(ErrorCode::kBadRequest, "character not of hex");
    }
    bytes.push_back(static_cast<uint8_t>(high << 4 | low));
  }
  return bytes;
}

std::string ToBase64Url(ByteSpan bytes) { return Encode(bytes, kUrlAlphabet); }

Result<Bytes> FromBase64Url(std::string_view text) {
  return Decode(text, kUrlReverse);
}

std::string ToBase64(ByteSpan bytes) {
  std::string text = Encode(bytes, kStandardAlphabet);
  while (text.size() % 4 != 0) text.push_back('=');
  return text;
}

Result<Bytes> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return Fail(ErrorCode::kBadRequest, "base64 text is not padded");
  }
  if (text.ends_with("==")) {
    text.remove_suffix(2);
  } else if (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  return Decode(text, kStandardReverse);
}

}  // namespace countersign
