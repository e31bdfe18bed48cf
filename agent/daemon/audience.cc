#include "agent/daemon/audience.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "attest/base/text.h"
#include "attest/jose/jws.h"

namespace countersign::agent {
namespace {

struct Place {
  std::string origin;  // Lower-case scheme and host, port made explicit.
  std::string path;    // At least "/".
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

bool HasDotSegment(const std::string& path) {
  std::string plain = Lower(path);
  for (size_t at = 0; (at = plain.find("%2e", at)) != std::string::npos;) {
    plain.replace(at, 3, ".");
  }
  plain += '/';
  return plain.find("/./") != std::string::npos ||
         plain.find("/../") != std::string::npos ||
         plain.find("%2f") != std::string::npos ||
         plain.find("%5c") != std::string::npos ||
         plain.find('\\') != std::string::npos;
}

std::optional<Place> PlaceOf(std::string_view uri) {
  uri = uri.substr(0, uri.find_first_of("?#"));
  const size_t colon = uri.find("://");
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string scheme = Lower(uri.substr(0, colon));
  const std::string_view rest = uri.substr(colon + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::string authority = Lower(rest.substr(0, slash));
  if (authority.empty() || authority.find('@') != std::string::npos ||
      authority.find('\\') != std::string::npos) {
    return std::nullopt;
  }
  const size_t port = authority.find(':', authority.rfind(']') + 1);
  if (port == std::string::npos || port + 1 == authority.size()) {
    authority.resize(std::min(port, authority.size()));
    authority += scheme == "https" ? ":443" : scheme == "http" ? ":80" : "";
  }
  Place place{scheme + "://" + authority, std::string(rest.substr(slash))};
  if (place.path.empty()) place.path = "/";
  if (HasDotSegment(place.path)) return std::nullopt;
  return place;
}

}  // namespace

Status CheckUnderAudience(std::string_view audience, std::string_view uri) {
  const auto wanted = PlaceOf(audience);
  const auto asked = PlaceOf(uri);
  if (wanted.has_value() && asked.has_value() &&
      wanted->origin == asked->origin) {
    std::string prefix = wanted->path;
    if (asked->path == prefix) return {};
    if (!prefix.ends_with('/')) prefix += '/';
    if (asked->path.starts_with(prefix)) return {};
  }
  return Fail(ErrorCode::kForeignAudience,
              "the grant is for " + Printable(audience, 200) + ", not for " +
                  Printable(uri, 200));
}

Status CheckOAuthEndpoint(const Device& device, std::string_view uri) {
  std::string_view issuer = device.service.issuer;
  while (issuer.ends_with('/')) issuer.remove_suffix(1);
  for (const std::string_view path : {"/oauth/token", "/oauth/revoke"}) {
    const auto endpoint = PlaceOf(std::string(issuer).append(path));
    const auto asked = PlaceOf(uri);
    if (endpoint && asked && endpoint->origin == asked->origin &&
        endpoint->path == asked->path) {
      return {};
    }
  }
  return Fail(ErrorCode::kForeignAudience,
              "without a grant a proof is for the service's own token and "
              "revocation endpoints, not for " +
                  Printable(uri, 200));
}

Status CheckGrant(const Device& device, const Session& session,
                  const std::string& grant, const std::string& uri,
                  int64_t service_now_s) {
  CS_ASSIGN_OR_RETURN(
      const jose::VerifiedJws jws,
      jose::VerifyJws(grant, jose::kTypGrant, *device.service.keys));
  const auto claims = nlohmann::json::parse(jws.claims_json, nullptr, false);
  using Pointer = nlohmann::json::json_pointer;
  const auto text = [&claims](const char* pointer) {
    const auto value = claims.value(Pointer(pointer), nlohmann::json());
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  if (text("/sid") != ToHex(AsBytes(session.id)) ||
      text("/cnf/jkt") != session.key->public_key().thumbprint()) {
    return Fail(ErrorCode::kNotSessionOwner,
                "the grant belongs to another session");
  }
  const auto expires = claims.value(Pointer("/exp"), nlohmann::json());
  if (!expires.is_number_integer() || expires.get<int64_t>() <= service_now_s) {
    return Fail(ErrorCode::kTokenExpired, "the grant has expired");
  }
  return CheckUnderAudience(text("/aud"), uri);
}

}  // namespace countersign::agent
