#include "attest/authz/oauth/token_exchange.h"

#include "attest/authz/approval.h"
#include "attest/authz/grant_life.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/oauth/attested_client.h"
#include "attest/authz/oauth/form.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/oauth/oauth_response.h"
#include "attest/authz/oauth/presented_grant.h"
#include "attest/authz/wire.h"
#include "attest/jose/claims.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"

namespace countersign::authz {
namespace {

struct SubjectReceipt {
  std::string jti;
  std::string audience;
  Sha256Digest action{};
};

Status CheckParameters(const Form& form, const AttestedClient& client) {
  CS_ASSIGN_OR_RETURN(const std::string grant_type,
                      form.Required("grant_type"));
  if (grant_type != kTokenExchange) {
    return Fail(ErrorCode::kNotSupported, "grant_type: token exchange only");
  }
  CS_ASSIGN_OR_RETURN(const std::string type,
                      form.Required("subject_token_type"));
  if (type != kReceiptType) {
    return Fail(ErrorCode::kBadRequest,
                "subject_token_type must be " + std::string(kReceiptType));
  }
  const std::string& wanted = form.Get("requested_token_type");
  if (!wanted.empty() && wanted != kAccessTokenType && wanted != kJwtType) {
    return Fail(ErrorCode::kBadRequest, "requested_token_type");
  }
  if (!form.Get("actor_token").empty()) {
    return Fail(ErrorCode::kBadRequest, "the actor is in the receipt's action");
  }
  const std::string& client_id = form.Get("client_id");
  if (!client_id.empty() && client_id != client.client_id) {
    return Fail(ErrorCode::kBadRequest,
                "client_id is not that of the attestation");
  }
  if (!form.Get("scope").empty()) return Fail(ErrorCode::kScopeNotOffered);
  if (!form.Get("authorization_details").empty()) {
    return Fail(ErrorCode::kDetailsNotOffered);
  }
  return {};
}

Result<SubjectReceipt> CheckSubject(const Service& service, const Form& form) {
  CS_ASSIGN_OR_RETURN(const std::string token, form.Required("subject_token"));
  CS_ASSIGN_OR_RETURN(
      const jose::VerifiedJws jws,
      jose::VerifyJws(token, jose::kTypReceipt, service.issuer.keys()));
  CS_ASSIGN_OR_RETURN(
      const auto claims,
      jose::JsonObject::Parse(jws.claims_json, jose::kMaxTokenSize));
  SubjectReceipt receipt;
  receipt.audience = claims.Text("aud").value_or("");
  CS_ASSIGN_OR_RETURN(
      const jose::CheckedClaims checked,
      jose::CheckClaims(jws.claims_json, {.issuer = service.config.issuer,
                                          .audience = receipt.audience,
                                          .now_s = service.clock.NowMs() / 1000,
                                          .leeway_s = 0,
                                          .max_lifetime_s = kReceiptTtlS}));
  receipt.jti = checked.jti;
  CS_ASSIGN_OR_RETURN(const Bytes action,
                      FromHex(claims.Text("action_digest").value_or("")));
  CS_ASSIGN_OR_RETURN(receipt.action, DigestFrom(action, "action_digest"));
  for (const char* name : {"audience", "resource"}) {
    const std::string& target = form.Get(name);
    if (!target.empty() && target != receipt.audience) {
      return Fail(ErrorCode::kAudienceNotAllowed,
                  std::string(name) + " is not that of the action");
    }
  }
  return receipt;
}

struct Redeemed {
  DecidedAction action;
  AskedAction asked;
};

Result<Redeemed> Redeem(const Service& service, StoreTransaction& transaction,
                        const AttestedClient& client,
                        const SubjectReceipt& receipt) {
  CS_ASSIGN_OR_RETURN(DecidedAction action,
                      FindDecidedAction(transaction, receipt.action));
  if (action.row.receipt_jti != receipt.jti) {
    return Fail(ErrorCode::kNotFound, "no such decision");
  }
  if (action.decision.grant_jti().empty()) return Fail(ErrorCode::kNoGrant);
  v1::SessionBinding binding;
  if (!binding.ParseFromString(AsString(action.session.binding))) {
    return Fail(ErrorCode::kStorageCorrupt, "session binding");
  }
  if (binding.pop_jkt() != client.proof.jkt) {
    return Fail(ErrorCode::kSessionKeyMismatch,
                "the action is another session's");
  }
  CS_RETURN_IF_ERROR(CheckGrantLive(service, transaction, action.session,
                                    action.row.ledger_index));
  const int64_t expires_s = action.decision.grant_expires_s();
  if (expires_s <= service.clock.NowMs() / 1000) {
    return Fail(ErrorCode::kTokenExpired, "the grant");
  }
  CS_ASSIGN_OR_RETURN(AskedAction asked,
                      FindAskedAction(transaction, action.row));
  CS_ASSIGN_OR_RETURN(
      const bool first,
      transaction.ConsumeOnce("exchange:" + receipt.jti, expires_s));
  if (!first) return Fail(ErrorCode::kGrantRedeemed);
  return Redeemed{std::move(action), std::move(asked)};
}

Result<Response> TokenResponse(const Service& service,
                               const Redeemed& redeemed) {
  const DecidedAction& action = redeemed.action;
  v1::SessionBinding binding;
  if (!binding.ParseFromString(AsString(action.session.binding))) {
    return Fail(ErrorCode::kStorageCorrupt, "session binding");
  }
  const TokenSession session = TokenSessionOf(
      binding, action.session.binding_digest, action.session.subject);
  const bool approved = !action.decision.approval_grade().empty();
  const TokenAction of{
      .request = redeemed.asked.request,
      .digest = action.row.digest,
      .ledger_index = action.row.ledger_index,
      .issued_s = action.row.decided_ms / 1000,
      .approval = approved ? &redeemed.asked.approval : nullptr};
  const int64_t expires_s = action.decision.grant_expires_s();
  CS_ASSIGN_OR_RETURN(const std::string grant,
                      service.issuer.Grant(
                          session, of, action.decision.grant_jti(), expires_s));
  JsonWriter json;
  json.BeginObject()
      .String("access_token", grant)
      .String("issued_token_type", kAccessTokenType)
      .String("token_type", "DPoP")
      .Int("expires_in", expires_s - service.clock.NowMs() / 1000)
      .Raw("authorization_details", AuthorizationDetails(of))
      .EndObject();
  return JsonResponse(std::move(json).text());
}

Result<Response> Exchange(const Service& service, const Request& request) {
  CS_ASSIGN_OR_RETURN(const Form form,
                      Form::Parse(request.content_type, request.body));
  CS_ASSIGN_OR_RETURN(
      const AttestedClient client,
      CheckAttestedClient(service, request,
                          EndpointUrl(service.config.issuer, kTokenPath)));
  // A request that is refused spends its proof all the same, so the unit of
  // work commits unless the store itself fails.
  Result<Redeemed> redeemed = Fail(ErrorCode::kInternal);
  const auto work = [&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(SpendProof(transaction, client.proof));
    const Status good = CheckParameters(form, client);
    if (!good) {
      redeemed = tl::unexpected<Error>(good.error());
      return {};
    }
    const auto receipt = CheckSubject(service, form);
    redeemed = receipt
                   ? Redeem(service, transaction, client, *receipt)
                   : Result<Redeemed>(tl::unexpected<Error>(receipt.error()));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Write(work));
  CS_RETURN_IF_ERROR(redeemed);
  return TokenResponse(service, *redeemed);
}

}  // namespace

Response ExchangeToken(const Service& service, const Request& request) {
  Result<Response> response = Exchange(service, request);
  if (!response) response = OAuthErrorResponse(request, response.error());
  // RFC 9449 §8.2: always the newest, so that the next proof needs no refusal.
  response->headers.emplace_back("DPoP-Nonce", DpopNonce(service));
  return *std::move(response);
}

}  // namespace countersign::authz
