#include "attest/jose/foreign_jws.h"

#include <algorithm>
#include <utility>

#include "attest/jose/jws_parts.h"

namespace countersign::jose {

Result<ForeignJws> VerifyForeignJws(std::string_view compact,
                                    std::span<const std::string_view> types,
                                    std::span<const ForeignAlgorithm> allowed,
                                    const ForeignKeySet& keys) {
  CS_ASSIGN_OR_RETURN(JwsParts parts, SplitJws(compact, kMaxForeignTokenSize));
  CS_ASSIGN_OR_RETURN(const JsonObject header,
                      JsonObject::Parse(parts.header, kMaxForeignTokenSize));
  const auto algorithm = ForeignAlgorithmFrom(header.Text("alg").value_or(""));
  if (!algorithm || std::ranges::find(allowed, *algorithm) == allowed.end()) {
    return Fail(ErrorCode::kJwsAlgorithm, "alg is not one that is allowed");
  }
  CS_RETURN_IF_ERROR(CheckNoForbiddenHeader(header));
  if (header.Has("jwk")) {
    return Fail(ErrorCode::kJwsAlgorithm, "header has jwk");
  }
  if (header.Has("typ") && std::ranges::find(types, header.Text("typ").value_or(
                                                        "")) == types.end()) {
    return Fail(ErrorCode::kJwsType, "typ");
  }
  const auto kid = header.Text("kid");
  if (header.Has("kid") && !kid) {
    return Fail(ErrorCode::kJwsMalformed, "kid is not text");
  }
  const ForeignKey* key = keys.Find(kid, *algorithm);
  if (key == nullptr) {
    return Fail(ErrorCode::kJwsUnknownKey,
                "the identity provider has no such key");
  }
  CS_RETURN_IF_ERROR(
      key->Verify(*algorithm, AsBytes(parts.signing_input), parts.signature));
  CS_RETURN_IF_ERROR(JsonObject::Parse(parts.claims, kMaxForeignTokenSize));
  return ForeignJws{*algorithm, std::move(parts.claims)};
}

}  // namespace countersign::jose
