// The one table of routes: what each takes, and what must authenticate it.
// A route cannot be written down without naming its authentication, and the
// router checks it before the handler runs.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_ROUTER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_ROUTER_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attest/authz/http_server.h"

namespace countersign::authz {

enum class Authentication : uint8_t {
  kPublic,    // The answer is for everybody: keys, the ledger.
  kEvidence,  // The body proves itself, by a quote or an enrollment token.
  kReceipt,   // The body holds a receipt, which is the credential.
  kEvents,    // The body holds an event token: an answer to evidence gave it.
  kAdmin,     // "Authorization: Bearer" with an administrator token.
};

struct Route {
  std::string_view method;
  // Segments; "{id}" takes one, "{rest}" at the end takes all that follow.
  std::string_view pattern;
  Authentication authentication;
  size_t max_body;
  std::function<Response(const Request&, std::string_view parameter)> handler;
};

// The parameter that `path` has under `pattern`, or nothing if it does not
// match. A pattern without a parameter gives an empty one.
[[nodiscard]] std::optional<std::string_view> MatchPath(
    std::string_view pattern, std::string_view path);

class Router {
 public:
  explicit Router(std::vector<Route> routes) : routes_(std::move(routes)) {}

  // A GET route serves HEAD as well: the server leaves the body out.
  // The route, or the status to answer with: 404, or 405 where another method
  // would do.
  struct Found {
    const Route* route = nullptr;
    std::string_view parameter;
    int status = 404;
    std::string allow;  // With 405: the methods that would do.
  };
  [[nodiscard]] Found Find(std::string_view method,
                           std::string_view path) const;
  [[nodiscard]] std::span<const Route> routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_ROUTER_H_
