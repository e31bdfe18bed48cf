// The OAuth endpoints as routes of the service's one table.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_ROUTES_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_ROUTES_H_

#include "attest/authz/oauth/status_list.h"
#include "attest/authz/router.h"

namespace countersign::authz {

// Both arguments must outlive the routes.
[[nodiscard]] std::vector<Route> OAuthRoutes(const Service& service,
                                             StatusLists& status_lists);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_ROUTES_H_
