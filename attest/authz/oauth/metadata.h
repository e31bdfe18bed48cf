// GET /.well-known/oauth-authorization-server: what a stock client needs to
// know of this service (RFC 8414), and nothing that it does not do.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_METADATA_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_METADATA_H_

#include <string>

namespace countersign::authz {

[[nodiscard]] std::string MetadataJson(const std::string& issuer);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_METADATA_H_
