#include "attest/authz/router.h"

namespace countersign::authz {

std::optional<std::string_view> MatchPath(std::string_view pattern,
                                          std::string_view path) {
  const size_t brace = pattern.find('{');
  if (brace == std::string_view::npos) {
    if (pattern != path) return std::nullopt;
    return std::string_view{};
  }
  if (path.substr(0, brace) != pattern.substr(0, brace)) return std::nullopt;
  path.remove_prefix(brace);
  pattern.remove_prefix(brace);
  if (pattern == "{rest}") {
    if (path.empty()) return std::nullopt;
    return path;
  }
  const std::string_view after = pattern.substr(pattern.find('}') + 1);
  const size_t end = path.find('/');
  const std::string_view parameter = path.substr(0, end);
  const std::string_view remaining =
      end == std::string_view::npos ? std::string_view{} : path.substr(end);
  if (parameter.empty() || remaining != after) return std::nullopt;
  return parameter;
}

Router::Found Router::Find(std::string_view method,
                           std::string_view path) const {
  Found found;
  for (const Route& route : routes_) {
    const auto parameter = MatchPath(route.pattern, path);
    if (!parameter) continue;
    const bool reads = route.method == "GET";
    if (route.method == method || (reads && method == "HEAD")) {
      return {
          .route = &route, .parameter = *parameter, .status = 200, .allow = {}};
    }
    found.status = 405;
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += reads ? "GET, HEAD" : route.method;
  }
  return found;
}

}  // namespace countersign::authz
