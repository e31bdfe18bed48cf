// The keys of a JWK Set (RFC 7517 §5) as JSON text each; used inside this
// folder.
#ifndef COUNTERSIGN_ATTEST_JOSE_JWK_MEMBERS_H_
#define COUNTERSIGN_ATTEST_JOSE_JWK_MEMBERS_H_

#include <string>
#include <string_view>
#include <vector>

#include "attest/base/result.h"

namespace countersign::jose {

// `json` is hostile. kTooLarge: more than `max_size` bytes or `max_keys` keys.
// kJwsMalformed: not a JWK Set.
[[nodiscard]] Result<std::vector<std::string>> JwkMembers(std::string_view json,
                                                          size_t max_size,
                                                          size_t max_keys);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_JWK_MEMBERS_H_
