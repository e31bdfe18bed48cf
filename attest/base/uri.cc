#include "attest/base/uri.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace countersign {
namespace {

bool IsAlpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
// A table, since every character of every action comes by here.
constexpr uint8_t kUnreserved = 1;
constexpr uint8_t kSubDelim = 2;
constexpr std::array<uint8_t, 256> kClasses = [] {
  std::array<uint8_t, 256> classes{};
  const auto mark = [&](std::string_view characters, uint8_t as) {
    for (char c : characters) classes[static_cast<uint8_t>(c)] = as;
  };
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kUnreserved);
  mark("0123456789-._~", kUnreserved);
  mark("!$&'()*+,;=", kSubDelim);
  return classes;
}();

bool IsUnreserved(char c) {
  return kClasses[static_cast<uint8_t>(c)] == kUnreserved;
}
bool IsSubDelim(char c) {
  return kClasses[static_cast<uint8_t>(c)] == kSubDelim;
}

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return Lower(c); });
  return lower;
}

// Whether `text` is unreserved / pct-encoded / sub-delims / `extra` only.
bool Consists(std::string_view text, std::string_view extra) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3 || !IsHexDigit(text[i + 1]) ||
          !IsHexDigit(text[i + 2])) {
        return false;
      }
      i += 2;
    } else if (!IsUnreserved(c) && !IsSubDelim(c) &&
               extra.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool IsScheme(std::string_view text) {
  return !text.empty() && IsAlpha(text.front()) &&
         std::ranges::all_of(text, [](char c) {
           return IsAlpha(c) || IsDigit(c) || c == '+' || c == '-' || c == '.';
         });
}

bool IsWeb(std::string_view scheme) {
  return scheme == "http" || scheme == "https";
}

struct HostAndPort {
  std::string_view host;
  std::string_view port;
};

// Splits an authority after its user information.
HostAndPort SplitPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  const size_t bracket = text.rfind(']');
  if (colon == std::string_view::npos ||
      (bracket != std::string_view::npos && colon < bracket)) {
    return {text, {}};
  }
  return {text.substr(0, colon), text.substr(colon + 1)};
}

bool IsHost(std::string_view host) {
  if (!host.starts_with('[')) return Consists(host, "");
  return host.size() > 2 && host.ends_with(']') &&
         std::ranges::all_of(host.substr(1, host.size() - 2), [](char c) {
           return IsHexDigit(c) || c == ':' || c == '.';
         });
}

bool IsPort(std::string_view port) {
  if (!std::ranges::all_of(port, IsDigit) || port.size() > 5) return false;
  uint32_t value = 0;
  for (char c : port) value = value * 10 + static_cast<uint32_t>(c - '0');
  return value <= 65'535;
}

Status CheckAuthority(std::string_view scheme, std::string_view authority) {
  const auto fail = [](const char* why) {
    return Fail(ErrorCode::kBadRequest, why);
  };
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    if (IsWeb(scheme)) return fail("URI has user information");
    if (!Consists(authority.substr(0, at), ":")) {
      return fail("URI has malformed user information");
    }
    authority.remove_prefix(at + 1);
  }
  const auto [host, port] = SplitPort(authority);
  if (!IsHost(host)) return fail("URI has a malformed host");
  if (!IsPort(port)) return fail("URI has a malformed port");
  if (IsWeb(scheme) && host.empty()) return fail("URI has no host");
  return {};
}

// takes what follows the first `mark` of `text` off it.
std::optional<std::string> TakeAfter(std::string_view& text, char mark) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  std::string part(text.substr(at + 1));
  text = text.substr(0, at);
  return part;
}

int HexValue(char c) { return IsDigit(c) ? c - '0' : (Lower(c) - 'a') + 10; }

// RFC 3986 §6.2.2.1, §6.2.2.2: upper-case triplets, none for unreserved.
std::string NormalizePercent(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  if (text.find('%') == std::string_view::npos) return std::string(text);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int value = HexValue(text[i + 1]) << 4 | HexValue(text[i + 2]);
    i += 2;
    if (const char c = static_cast<char>(value); IsUnreserved(c)) {
      out.push_back(c);
    } else {
      out += {'%', kHex[value >> 4], kHex[value & 15]};
    }
  }
  return out;
}

// RFC 3986 §5.2.4, for a path that starts with '/'.
std::string RemoveDotSegments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);
    const bool last = end == path.size();
    if (segment == "/..") {
      out.resize(out.empty() ? 0 : out.rfind('/'));
      if (last) out.push_back('/');
    } else if (segment != "/.") {
      out += segment;
    } else if (last) {
      out.push_back('/');
    }
    path.remove_prefix(end);
  }
  return out;
}

std::string NormalizeAuthority(std::string_view scheme,
                               std::string_view authority) {
  const size_t at = authority.rfind('@');
  const size_t start = at == std::string_view::npos ? 0 : at + 1;
  const auto [host, port] = SplitPort(authority.substr(start));
  std::string out = NormalizePercent(authority.substr(0, start));
  // Twice: a triplet may hide a capital, and its own digits are capitals.
  out += NormalizePercent(Lower(NormalizePercent(host)));
  const bool is_default = port.empty() ||
                          (scheme == "https" && port == "443") ||
                          (scheme == "http" && port == "80");
  if (!is_default) out.append(":").append(port);
  return out;
}

}  // namespace

Result<Uri> ParseUri(std::string_view text) {
  const auto fail = [](const char* why) {
    return Fail(ErrorCode::kBadRequest, why);
  };
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || !IsScheme(text.substr(0, colon))) {
    return fail("URI has no scheme");
  }
  Uri uri;
  uri.scheme = Lower(text.substr(0, colon));
  text.remove_prefix(colon + 1);
  if (text.empty()) return fail("URI has nothing after its scheme");
  uri.fragment = TakeAfter(text, '#');
  uri.query = TakeAfter(text, '?');
  if (text.starts_with("//")) {
    text.remove_prefix(2);
    const size_t end = std::min(text.find('/'), text.size());
    uri.authority = std::string(text.substr(0, end));
    text.remove_prefix(end);
    CS_RETURN_IF_ERROR(CheckAuthority(uri.scheme, *uri.authority));
  } else if (IsWeb(uri.scheme)) {
    return fail("URI has no host");
  }
  uri.path = std::string(text);
  if (!Consists(uri.path, ":@/") || !Consists(uri.query.value_or(""), ":@/?") ||
      !Consists(uri.fragment.value_or(""), ":@/?")) {
    return fail("URI has a character that must be percent-encoded");
  }
  return uri;
}

std::string NormalizedTarget(const Uri& uri) {
  std::string out = uri.scheme + ":";
  if (uri.authority) {
    out += "//" + NormalizeAuthority(uri.scheme, *uri.authority);
  }
  std::string path = NormalizePercent(uri.path);
  if (path.starts_with('/')) path = RemoveDotSegments(path);
  if (path.empty() && IsWeb(uri.scheme)) path = "/";
  return out + path;
}

}  // namespace countersign
