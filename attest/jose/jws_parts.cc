#include "attest/jose/jws_parts.h"

#include <array>
#include <utility>

namespace countersign::jose {
namespace {

tl::unexpected<Error> Malformed(std::string detail) {
  return Fail(ErrorCode::kJwsMalformed, std::move(detail));
}

Result<Bytes> DecodePart(std::string_view text, const char* name) {
  auto bytes = FromBase64Url(text);
  if (!bytes || bytes->empty()) {
    return Malformed(std::string(name) + " is not strict base64url");
  }
  return bytes;
}

constexpr std::array<std::string_view, 5> kNeverAllowed{"crit", "b64", "jku",
                                                        "x5u", "x5c"};

}  // namespace

Result<JwsParts> SplitJws(std::string_view compact, size_t max_size) {
  if (compact.size() > max_size) {
    return Fail(ErrorCode::kTooLarge,
                "token is longer than " + std::to_string(max_size) + " bytes");
  }
  const size_t first = compact.find('.');
  const size_t last = compact.rfind('.');
  if (first == last || compact.find('.', first + 1) != last) {
    return Malformed("token does not have three parts");
  }
  CS_ASSIGN_OR_RETURN(const Bytes header,
                      DecodePart(compact.substr(0, first), "header"));
  CS_ASSIGN_OR_RETURN(
      const Bytes claims,
      DecodePart(compact.substr(first + 1, last - first - 1), "payload"));
  CS_ASSIGN_OR_RETURN(Bytes signature,
                      DecodePart(compact.substr(last + 1), "signature"));
  return JwsParts{AsString(header), AsString(claims), std::move(signature),
                  compact.substr(0, last)};
}

Status CheckNoForbiddenHeader(const JsonObject& header) {
  for (std::string_view name : kNeverAllowed) {
    if (header.Has(name)) {
      return Fail(ErrorCode::kJwsAlgorithm, "header has " + std::string(name));
    }
  }
  return {};
}

}  // namespace countersign::jose
