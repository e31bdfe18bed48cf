#include "attest/jose/jws.h"

#include <array>
#include <utility>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"
#include "attest/jose/json_object.h"

namespace countersign::jose {
namespace {

constexpr std::string_view kAlgorithm = "ES256";

// A token cut into its parts; nothing of it is verified.
struct Parts {
  std::string header;
  std::string claims;
  Bytes signature;
  std::string_view signing_input;  // RFC 7515 §5.2, step 8.
};

tl::unexpected<Error> Malformed(std::string detail) {
  return Fail(ErrorCode::kJwsMalformed, std::move(detail));
}

Result<Bytes> DecodePart(std::string_view text, const char* name) {
  auto bytes = FromBase64Url(text);
  if (!bytes || bytes->empty()) {
    return Malformed(std::string(name) + " is not strict base64url");
  }
  return bytes;
}

Result<Parts> Split(std::string_view compact, size_t max_size) {
  if (compact.size() > max_size) {
    return Fail(ErrorCode::kTooLarge,
                "token is longer than " + std::to_string(max_size) + " bytes");
  }
  const size_t first = compact.find('.');
  const size_t last = compact.rfind('.');
  if (first == last || compact.find('.', first + 1) != last) {
    return Malformed("token does not have three parts");
  }
  CS_ASSIGN_OR_RETURN(const Bytes header,
                      DecodePart(compact.substr(0, first), "header"));
  CS_ASSIGN_OR_RETURN(
      const Bytes claims,
      DecodePart(compact.substr(first + 1, last - first - 1), "payload"));
  CS_ASSIGN_OR_RETURN(Bytes signature,
                      DecodePart(compact.substr(last + 1), "signature"));
  return Parts{AsString(header), AsString(claims), std::move(signature),
               compact.substr(0, last)};
}

// Header parameters of which each would let the token choose how or with what
// it is checked (RFC 8725 §3.1, §3.10; RFC 7515 §4.1.11).
constexpr std::array<std::string_view, 5> kNeverAllowed{"crit", "b64", "jku",
                                                        "x5u", "x5c"};

Status CheckAlgorithm(const JsonObject& header, KeyHeader key_header) {
  if (header.Text("alg") != kAlgorithm) {
    return Fail(ErrorCode::kJwsAlgorithm, "alg is not ES256");
  }
  for (std::string_view name : kNeverAllowed) {
    if (header.Has(name)) {
      return Fail(ErrorCode::kJwsAlgorithm, "header has " + std::string(name));
    }
  }
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

Result<VerifiedJws> Finish(Parts parts, const Es256PublicKey& key,
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
  CS_ASSIGN_OR_RETURN(Parts parts, Split(compact, max_size));
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
  CS_ASSIGN_OR_RETURN(Parts parts, Split(compact, max_size));
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
  CS_ASSIGN_OR_RETURN(Parts parts, Split(compact, max_size));
  CS_ASSIGN_OR_RETURN(const JsonObject header,
                      JsonObject::Parse(parts.header, max_size));
  CS_RETURN_IF_ERROR(CheckHeader(header, KeyHeader::kJwk, expected_typ));
  const auto jwk = header.Object("jwk");
  if (!jwk) return Malformed("header has no jwk");
  CS_ASSIGN_OR_RETURN(const Es256PublicKey key,
                      Es256PublicKey::FromJwkJson(*jwk));
  return Finish(std::move(parts), key, max_size);
}

}  // namespace countersign::jose
