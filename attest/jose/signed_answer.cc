#include "attest/jose/signed_answer.h"

#include <utility>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"
#include "countersign/v1/service.pb.h"

namespace countersign::jose {
namespace {

tl::unexpected<Error> Refuse(std::string why) {
  return Fail(ErrorCode::kAnswerInvalid, std::move(why));
}

// The Error in a signed refusal. A number that this version does not know, or
// that says "the answer is forged" of itself, is a refusal all the same.
tl::unexpected<Error> CarriedError(const std::string& payload) {
  v1::ErrorInfo info;
  if (!info.ParseFromString(payload)) {
    return Refuse("the signed refusal is malformed");
  }
  ErrorCode code = ErrorCode::kServiceRejected;
  if (const auto known = ErrorCodeFromNumber(info.number());
      known && *known != ErrorCode::kAnswerInvalid) {
    code = *known;
  }
  const std::string& text =
      info.detail().empty() ? info.message() : info.detail();
  return Fail(code, Printable(text));
}

}  // namespace

Result<v1::ServiceSigned> SignAnswer(const Es256Signer& key,
                                     const AnswerAddress& address,
                                     ByteSpan request, std::string payload,
                                     int64_t now_s) {
  const std::string request_sha256 = ToBase64Url(Sha256(request));
  const std::string payload_sha256 = ToBase64Url(Sha256(AsBytes(payload)));
  CS_ASSIGN_OR_RETURN(const std::string claims,
                      WriteJsonObject({{"iss", address.issuer},
                                       {"aud", address.audience},
                                       {"kind", address.kind},
                                       {"iat", now_s},
                                       {"request_sha256", request_sha256},
                                       {"payload_sha256", payload_sha256}}));
  CS_ASSIGN_OR_RETURN(std::string jws, SignJws(key, kTypAnswer, claims));
  v1::ServiceSigned answer;
  answer.set_payload(std::move(payload));
  answer.set_jws(std::move(jws));
  return answer;
}

Result<std::string> VerifyAnswer(
    const KeySet& keys, const AnswerAddress& expected,
    const std::optional<Sha256Digest>& request_sha256,
    const v1::ServiceSigned& answer) {
  const auto jws = VerifyJws(answer.jws(), kTypAnswer, keys);
  if (!jws) {
    return Refuse(std::string(Name(jws.error().code)) + ": " +
                  jws.error().detail);
  }
  CS_ASSIGN_OR_RETURN(const JsonObject claims,
                      JsonObject::Parse(jws->claims_json, kMaxTokenSize));
  if (claims.Text("iss") != expected.issuer) return Refuse("another issuer");
  if (claims.Text("aud") != expected.audience) return Refuse("another device");
  if (request_sha256 &&
      claims.Text("request_sha256") != ToBase64Url(*request_sha256)) {
    return Refuse("the answer to another request");
  }
  if (claims.Text("payload_sha256") !=
      ToBase64Url(Sha256(AsBytes(answer.payload())))) {
    return Refuse("another payload");
  }
  const std::string kind = claims.Text("kind").value_or("");
  if (kind == expected.kind) return answer.payload();
  if (kind == kKindError) return CarriedError(answer.payload());
  return Refuse("another kind of answer");
}

}  // namespace countersign::jose
