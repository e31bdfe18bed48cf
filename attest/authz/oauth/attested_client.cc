#include "attest/authz/oauth/attested_client.h"

#include "attest/base/digest.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"

namespace countersign::authz {
namespace {

// In the place of a device's id, which is 16 bytes: no epoch nonce of a device
// is a DPoP nonce, nor the other way round.
constexpr std::string_view kNonceScope = "oauth-dpop";

struct Attestation {
  std::string client_id;
  std::string jkt;
};

tl::unexpected<Error> Invalid(std::string why) {
  return Fail(ErrorCode::kAttestationInvalid, std::move(why));
}

Result<Attestation> CheckAttestation(const Service& service,
                                     std::string_view token) {
  if (token.empty()) return Invalid("OAuth-Client-Attestation is needed");
  const auto jws = jose::VerifyJws(token, jose::kTypClientAttestation,
                                   service.issuer.keys());
  if (!jws) return Invalid(std::string(Name(jws.error().code)));
  CS_ASSIGN_OR_RETURN(
      const auto claims,
      jose::JsonObject::Parse(jws->claims_json, jose::kMaxTokenSize));
  if (claims.Text("iss") != service.config.issuer) {
    return Invalid("another issuer");
  }
  if (claims.Integer("exp").value_or(0) <= service.clock.NowMs() / 1000) {
    return Invalid("it has expired");
  }
  // Signed by us: what follows holds unless we made it wrong.
  const auto cnf = jose::JsonObject::Parse(claims.Object("cnf").value_or(""),
                                           jose::kMaxTokenSize);
  if (!cnf) return Invalid("no key");
  const auto key =
      jose::Es256PublicKey::FromJwkJson(cnf->Object("jwk").value_or(""));
  if (!key) return Invalid("no key");
  return Attestation{claims.Text("sub").value_or(""), key->thumbprint()};
}

Status CheckNonce(const Service& service, const std::string& nonce) {
  const auto bytes = FromBase64Url(nonce);
  if (nonce.empty() || !bytes ||
      !service.epochs.Check(AsBytes(kNonceScope), *bytes,
                            service.clock.NowMs())) {
    return Fail(ErrorCode::kDpopNonceNeeded);
  }
  return {};
}

}  // namespace

Result<AttestedClient> CheckAttestedClient(const Service& service,
                                           const Request& request,
                                           const std::string& url) {
  if (!request.client_attestation_pop.empty()) {
    return Invalid("attest_jwt_client_auth_dpop takes no PoP but the proof");
  }
  CS_ASSIGN_OR_RETURN(Attestation attestation,
                      CheckAttestation(service, request.client_attestation));
  if (request.dpop.empty()) {
    return Fail(ErrorCode::kDpopInvalid, "a DPoP proof is needed");
  }
  auto proof = jose::VerifyDpopProof(request.dpop,
                                     {.method = request.method,
                                      .uri = url,
                                      .access_token = {},
                                      .jkt = attestation.jkt,
                                      .nonce = {},
                                      .now_s = service.clock.NowMs() / 1000,
                                      .max_age_s = kDpopWindowS,
                                      .max_ahead_s = kDpopWindowS});
  if (!proof) {
    const Error& why = proof.error();
    return Fail(ErrorCode::kDpopInvalid, why.code == ErrorCode::kDpopInvalid
                                             ? why.detail
                                             : std::string(Name(why.code)));
  }
  CS_RETURN_IF_ERROR(CheckNonce(service, proof->nonce));
  return AttestedClient{std::move(attestation.client_id), *std::move(proof)};
}

Status SpendProof(StoreTransaction& transaction, const jose::DpopProof& proof) {
  // Hashed: the jti is of the client's choosing, in text and length.
  const std::string name =
      "dpop:" + ToBase64Url(Sha256(AsBytes(proof.jkt + " " + proof.jti)));
  CS_ASSIGN_OR_RETURN(
      const bool first,
      transaction.ConsumeOnce(name, proof.issued_at_s + 2 * kDpopWindowS));
  if (!first) return Fail(ErrorCode::kDpopReplayed);
  return {};
}

std::string DpopNonce(const Service& service) {
  return ToBase64Url(
      service.epochs.Mint(AsBytes(kNonceScope), service.clock.NowMs()));
}

}  // namespace countersign::authz
