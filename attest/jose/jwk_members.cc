#include "attest/jose/jwk_members.h"

#include "attest/jose/json_object.h"

namespace countersign::jose {

Result<std::vector<std::string>> JwkMembers(std::string_view json,
                                            size_t max_size, size_t max_keys) {
  if (json.size() > max_size) {
    return Fail(ErrorCode::kTooLarge, "JWK Set is too long");
  }
  CS_ASSIGN_OR_RETURN(const JsonObject document,
                      JsonObject::Parse(json, max_size));
  auto members = document.Objects("keys");
  if (!members) {
    return Fail(ErrorCode::kJwsMalformed, "JWK Set has no array of keys");
  }
  if (members->size() > max_keys) {
    return Fail(ErrorCode::kTooLarge, "JWK Set has too many keys");
  }
  return *std::move(members);
}

}  // namespace countersign::jose
