#include "attest/jose/jwk_set.h"

#include <utility>

#include "attest/base/bytes.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jwk_members.h"

namespace countersign::jose {
namespace {

constexpr size_t kMaxJwkSize = 8 * 1024;

tl::unexpected<Error> Malformed(std::string detail) {
  return Fail(ErrorCode::kJwsMalformed, std::move(detail));
}

// A member that may be absent but not another.
bool IsAbsentOr(const JsonObject& jwk, std::string_view name,
                std::string_view value) {
  return !jwk.Has(name) || jwk.Text(name) == value;
}

Result<Bytes> CoordinateOf(const JsonObject& jwk, std::string_view name) {
  auto bytes = FromBase64Url(jwk.Text(name).value_or(""));
  if (!bytes || bytes->size() != sizeof(Coordinate)) {
    return Malformed("JWK's " + std::string(name) +
                     " is not 32 bytes in base64url");
  }
  return bytes;
}

Result<Es256PublicKey> ParseJwk(const JsonObject& jwk) {
  if (jwk.Has("d")) return Malformed("JWK holds a private key");
  if (!jwk.Text("kty")) return Malformed("JWK has no kty");
  if (jwk.Text("kty") != "EC" || jwk.Text("crv") != "P-256" ||
      !IsAbsentOr(jwk, "alg", "ES256") || !IsAbsentOr(jwk, "use", "sig")) {
    return Fail(ErrorCode::kJwsAlgorithm, "JWK is not an ES256 key");
  }
  CS_ASSIGN_OR_RETURN(const Bytes x, CoordinateOf(jwk, "x"));
  CS_ASSIGN_OR_RETURN(const Bytes y, CoordinateOf(jwk, "y"));
  return Es256PublicKey::FromCoordinates(x, y);
}

}  // namespace

Result<Es256PublicKey> Es256PublicKey::FromJwkJson(std::string_view json) {
  CS_ASSIGN_OR_RETURN(const JsonObject jwk,
                      JsonObject::Parse(json, kMaxJwkSize));
  return ParseJwk(jwk);
}

Result<KeySet> KeySet::FromJson(std::string_view json) {
  CS_ASSIGN_OR_RETURN(const std::vector<std::string> members,
                      JwkMembers(json, kMaxJsonSize, kMaxKeys));
  KeySet set;
  for (const std::string& member : members) {
    CS_ASSIGN_OR_RETURN(const JsonObject jwk,
                        JsonObject::Parse(member, kMaxJsonSize));
    auto key = ParseJwk(jwk);
    if (!key && key.error().code == ErrorCode::kJwsAlgorithm) continue;
    CS_RETURN_IF_ERROR(key);
    if (!IsAbsentOr(jwk, "kid", key->thumbprint())) {
      return Malformed("JWK's kid is not its thumbprint");
    }
    set.Add(*std::move(key));
  }
  return set;
}

std::string KeySet::ToJson() const {
  std::string json = R"({"keys":[)";
  std::string_view separator;
  for (const auto& entry : keys_) {
    std::string jwk = entry.second.ToJwkJson();
    jwk.pop_back();  // Its closing brace.
    json.append(separator).append(jwk);
    json += R"(,"kid":")" + entry.first + R"(","alg":"ES256","use":"sig"})";
    separator = ",";
  }
  return json + "]}";
}

void KeySet::Add(Es256PublicKey key) {
  std::string kid = key.thumbprint();
  keys_.insert_or_assign(std::move(kid), std::move(key));
}

const Es256PublicKey* KeySet::Find(std::string_view kid) const {
  const auto found = keys_.find(kid);
  return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace countersign::jose
