#include "attest/jose/jws.h"

#include <utility>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"
#include "attest/jose/jws_parts.h"

namespace countersign::jose {
namespace {

constexpr std::string_view kAlgorithm = "ES256";

Status CheckAlgorithm(const JsonObject& header, KeyHeader key_header) {
  if (header.Text("alg") != kAlgorithm) {
    return Fail(ErrorCode::kJwsAlgorithm, "alg is not ES256");
  }
  CS_RETURN_IF_ERROR(CheckNoForbiddenHeader(header));
  if (key_header == KeyHeader::kKid && header.Has("jwk")) {
    return Fail(ErrorCode::kJwsAlgorithm, "header has jwk");
  }
  return {};
}

Status CheckHeader(const JsonObject& header, KeyHeader key_header,
                   std::string_view expected_typ) {
  CS_RETURN_IF_ERROR(CheckAlgorithm(header, key_header));
  if (header.Text("typ") != expected_typ) {
    return Fail(ErrorCode::kJwsType, "typ is not " + std::string(expected_typ));
  }
  return {};
}

Result<VerifiedJws> Finish(JwsParts parts, const Es256PublicKey& key,
                           size_t max_size) {
  CS_RETURN_IF_ERROR(key.Verify(AsBytes(parts.signing_input), parts.signature));
  CS_RETURN_IF_ERROR(JsonObject::Parse(parts.claims, max_size));
  return VerifiedJws{key.thumbprint(), std::move(parts.header),
                     std::move(parts.claims)};
}

}  // namespace

Result<std::string> SignJws(const Es256Signer& key, std::string_view typ,
                            std::string_view claims_json,
                            KeyHeader key_header) {
  std::string header;
  if (key_header == KeyHeader::kKid) {
    CS_ASSIGN_OR_RETURN(
        header, WriteJsonObject({{"alg", kAlgorithm},
                                 {"typ", typ},
                                 {"kid", key.public_key().thumbprint()}}));
  } else {
    CS_ASSIGN_OR_RETURN(header,
                        WriteJsonObject({{"alg", kAlgorithm}, {"typ", typ}}));
    header.back() = ',';
    header += R"("jwk":)" + key.public_key().ToJwkJson() + "}";
  }
  std::string token =
      ToBase64Url(AsBytes(header)) + "." + ToBase64Url(AsBytes(claims_json));
  CS_ASSIGN_OR_RETURN(const Es256Signature signature,
                      key.SignDigest(Sha256(AsBytes(token))));
  return token.append(".").append(ToBase64Url(signature));
}

Result<VerifiedJws> VerifyJws(std::string_view compact,
                              std::string_view expected_typ, const KeySet& keys,
                              size_t max_size) {
  CS_ASSIGN_OR_RETURN(JwsParts parts, SplitJws(compact, max_size));
  CS_ASSIGN_OR_RETURN(const JsonObject header,
                      JsonObject::Parse(parts.header, max_size));
  CS_RETURN_IF_ERROR(CheckHeader(header, KeyHeader::kKid, expected_typ));
  const Es256PublicKey* key = keys.Find(header.Text("kid").value_or(""));
  if (key == nullptr) {
    return Fail(ErrorCode::kJwsUnknownKey, "kid names no trusted key");
  }
  return Finish(std::move(parts), *key, max_size);
}

Result<VerifiedJws> VerifyClientAssertion(std::string_view compact,
                                          const KeySet& keys, size_t max_size) {
  CS_ASSIGN_OR_RETURN(JwsParts parts, SplitJws(compact, max_size));
  CS_ASSIGN_OR_RETURN(const JsonObject header,
                      JsonObject::Parse(parts.header, max_size));
  CS_RETURN_IF_ERROR(CheckAlgorithm(header, KeyHeader::kKid));
  const auto typ = header.Text("typ");
  if (header.Has("typ") && typ != "JWT" && typ != "client-authentication+jwt") {
    return Fail(ErrorCode::kJwsType, "typ is not that of an assertion");
  }
  const Es256PublicKey* key = header.Has("kid")
                                  ? keys.Find(header.Text("kid").value_or(""))
                                  : keys.Only();
  if (key == nullptr) {
    return Fail(ErrorCode::kJwsUnknownKey, "kid names no registered key");
  }
  return Finish(std::move(parts), *key, max_size);
}

Result<VerifiedJws> VerifyJwsUnderItsOwnKey(std::string_view compact,
                                            std::string_view expected_typ,
                                            size_t max_size) {
  CS_ASSIGN_OR_RETURN(JwsParts parts, SplitJws(compact, max_size));
  CS_ASSIGN_OR_RETURN(const JsonObject header,
                      JsonObject::Parse(parts.header, max_size));
  CS_RETURN_IF_ERROR(CheckHeader(header, KeyHeader::kJwk, expected_typ));
  const auto jwk = header.Object("jwk");
  if (!jwk) return Fail(ErrorCode::kJwsMalformed, "header has no jwk");
  CS_ASSIGN_OR_RETURN(const Es256PublicKey key,
                      Es256PublicKey::FromJwkJson(*jwk));
  return Finish(std::move(parts), key, max_size);
}

}  // namespace countersign::jose
