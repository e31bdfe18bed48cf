// A compact JWS (RFC 7515 §3.1) cut into its parts; used inside this folder.
// Nothing of it is verified.
#ifndef COUNTERSIGN_ATTEST_JOSE_JWS_PARTS_H_
#define COUNTERSIGN_ATTEST_JOSE_JWS_PARTS_H_

#include <string>
#include <string_view>

#include "attest/base/bytes.h"
#include "attest/jose/json_object.h"

namespace countersign::jose {

struct JwsParts {
  std::string header;
  std::string claims;
  Bytes signature;
  std::string_view signing_input;  // RFC 7515 §5.2, step 8; of the text.
};

// kTooLarge: longer than `max_size`. kJwsMalformed: not three parts of strict
// base64url, none of them empty.
[[nodiscard]] Result<JwsParts> SplitJws(std::string_view compact,
                                        size_t max_size);

// kJwsAlgorithm: the header has a parameter that would let the token choose
// how or with what it is checked: crit, b64, jku, x5u, x5c (RFC 8725 §3.1,
// §3.10; RFC 7515 §4.1.11).
[[nodiscard]] Status CheckNoForbiddenHeader(const JsonObject& header);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_JWS_PARTS_H_
