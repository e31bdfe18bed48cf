#include "attest/jose/dpop.h"

#include <algorithm>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/base/uri.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"

namespace countersign::jose {
namespace {

constexpr size_t kMaxMethodSize = 32;
constexpr size_t kMaxJtiSize = 128;

tl::unexpected<Error> Refuse(std::string why) {
  return Fail(ErrorCode::kDpopInvalid, std::move(why));
}

// A method token (RFC 9110 §5.6.2), of letters and '-' as all registered are.
bool IsMethod(std::string_view method) {
  return !method.empty() && method.size() <= kMaxMethodSize &&
         std::ranges::all_of(method, [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
         });
}

Result<std::string> TargetOf(std::string_view uri) {
  CS_ASSIGN_OR_RETURN(const Uri parsed, ParseUri(uri));
  if (parsed.scheme != "https" && parsed.scheme != "http") {
    return Fail(ErrorCode::kBadRequest, "URI is not of http or https");
  }
  return NormalizedTarget(parsed);
}

Status CheckTarget(const JsonObject& claims, const ExpectedDpop& expected) {
  if (claims.Text("htm") != expected.method) return Refuse("another method");
  CS_ASSIGN_OR_RETURN(const std::string wanted, TargetOf(expected.uri));
  const auto claimed = TargetOf(claims.Text("htu").value_or(""));
  if (!claimed || *claimed != wanted) return Refuse("another URI");
  return {};
}

Status CheckTime(int64_t issued_at_s, const ExpectedDpop& expected) {
  if (issued_at_s < expected.now_s - expected.max_age_s) {
    return Refuse("the proof is too old");
  }
  if (issued_at_s > expected.now_s + expected.max_ahead_s) {
    return Refuse("the proof is from the future");
  }
  return {};
}

Status CheckToken(const JsonObject& claims, const std::string& jkt,
                  const ExpectedDpop& expected) {
  if (expected.access_token.empty()) {
    if (claims.Has("ath")) return Refuse("ath without a token");
    if (!expected.jkt.empty() && jkt != expected.jkt) {
      return Refuse("another key");
    }
    return {};
  }
  if (claims.Text("ath") != AccessTokenHash(expected.access_token)) {
    return Refuse("ath is not that of the token");
  }
  if (jkt != expected.jkt) return Refuse("the token is bound to another key");
  return {};
}

}  // namespace

std::string AccessTokenHash(std::string_view token) {
  return ToBase64Url(Sha256(AsBytes(token)));
}

Result<std::string> CreateDpopProof(const Es256Signer& key,
                                    const DpopRequest& request, int64_t now_s,
                                    std::string_view jti) {
  if (!IsMethod(request.method)) {
    return Fail(ErrorCode::kBadRequest, "method is not an HTTP method");
  }
  CS_ASSIGN_OR_RETURN(const std::string target, TargetOf(request.uri));
  const std::string ath = request.access_token.empty()
                              ? std::string()
                              : AccessTokenHash(request.access_token);
  std::vector<JsonMember> members{
      {"jti", jti}, {"htm", request.method}, {"htu", target}, {"iat", now_s}};
  if (!ath.empty()) members.emplace_back("ath", ath);
  if (!request.nonce.empty()) members.emplace_back("nonce", request.nonce);
  CS_ASSIGN_OR_RETURN(const std::string claims, WriteJsonObject(members));
  return SignJws(key, kTypDpop, claims, KeyHeader::kJwk);
}

Result<DpopProof> VerifyDpopProof(std::string_view proof,
                                  const ExpectedDpop& expected) {
  CS_ASSIGN_OR_RETURN(const VerifiedJws jws,
                      VerifyJwsUnderItsOwnKey(proof, kTypDpop, kMaxDpopSize));
  CS_ASSIGN_OR_RETURN(const JsonObject claims,
                      JsonObject::Parse(jws.claims_json, kMaxDpopSize));
  DpopProof verified{claims.Text("jti").value_or(""), jws.kid, 0,
                     claims.Text("nonce").value_or("")};
  if (!CheckText(verified.jti, kMaxJtiSize, "jti")) {
    return Refuse("jti is not a short text");
  }
  CS_RETURN_IF_ERROR(CheckTarget(claims, expected));
  const auto issued_at = claims.Integer("iat");
  if (!issued_at) return Refuse("iat is not a time");
  verified.issued_at_s = *issued_at;
  CS_RETURN_IF_ERROR(CheckTime(verified.issued_at_s, expected));
  if (!expected.nonce.empty() && claims.Text("nonce") != expected.nonce) {
    return Refuse("another nonce");
  }
  CS_RETURN_IF_ERROR(CheckToken(claims, verified.jkt, expected));
  return verified;
}

}  // namespace countersign::jose
