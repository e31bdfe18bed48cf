#include "attest/authz/oauth/introspection.h"

#include <array>

#include "attest/authz/grant_life.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/oauth/attested_client.h"
#include "attest/authz/oauth/form.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/oauth/oauth_response.h"
#include "attest/authz/oauth/presented_grant.h"
#include "attest/authz/oauth/resource_server.h"
#include "attest/authz/wire.h"
#include "attest/base/text.h"
#include "attest/jose/jws.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kSignedAnswer =
    "application/token-introspection+jwt";
constexpr int64_t kReportEveryS = 60;
constexpr std::array<std::string_view, 3> kOutcomes{"used", "refused",
                                                    "failed"};

Result<ClientRow> ResourceServerOf(const Service& service,
                                   const Request& request, const Form& form) {
  return AuthenticateResourceServer(
      service, {.authorization = request.authorization,
                .client_id = form.Get("client_id"),
                .assertion_type = form.Get("client_assertion_type"),
                .assertion = form.Get("client_assertion")});
}

// Appends `entry` and remembers that the ledger must be published up to it.
Status Append(const Service& service, StoreTransaction& transaction,
              v1::LedgerEntry entry, std::optional<uint64_t>* index) {
  CS_ASSIGN_OR_RETURN(*index, service.ledger.Append(transaction, {&entry, 1}));
  return {};
}

Status Publish(const Service& service, const std::optional<uint64_t>& index) {
  return index ? service.ledger.Publish(*index) : Status();
}

bool IsOurFault(const Error& error) {
  return Public(error.code) == PublicCode::kInternal ||
         Public(error.code) == PublicCode::kBusy;
}

// The claims of `token` if `client` may know them and they hold now; else
// nothing. Notes the use in the ledger.
Result<std::optional<std::string>> Look(const Service& service,
                                        const ClientRow& client,
                                        const std::string& token) {
  std::optional<std::string> claims;
  std::optional<uint64_t> index;
  const auto look = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(PresentedGrant grant,
                        FindPresentedGrant(service, transaction, token));
    if (grant.audience != client.audience) {
      return Fail(ErrorCode::kNotYourGrant);
    }
    CS_RETURN_IF_ERROR(CheckGrantLive(service, transaction,
                                      grant.action.session,
                                      grant.action.row.ledger_index));
    claims = std::move(grant.claims_json);
    const int64_t minute = service.clock.NowMs() / 1000 / kReportEveryS;
    CS_ASSIGN_OR_RETURN(const bool first, transaction.ConsumeOnce(
                                              "introspected:" + grant.jti +
                                                  ":" + std::to_string(minute),
                                              grant.expires_s));
    if (!first) return {};
    v1::LedgerEntry entry = EntryAbout(v1::ENTRY_KIND_REPORT, grant.action);
    entry.set_detail("introspected by " + client.name);
    return Append(service, transaction, std::move(entry), &index);
  };
  const Status looked = service.store.Write(look);
  if (!looked && IsOurFault(looked.error())) {
    return tl::unexpected<Error>(looked.error());
  }
  if (!looked) return std::optional<std::string>();
  CS_RETURN_IF_ERROR(Publish(service, index));
  return claims;
}

// RFC 7662 §2.2: the grant's claims are members of the answer.
std::string AnswerJson(const std::optional<std::string>& claims) {
  if (!claims) return R"({"active":false})";
  return R"({"active":true,"token_type":"DPoP",)" + claims->substr(1);
}

Result<Response> Introspect(const Service& service, const Request& request) {
  CS_ASSIGN_OR_RETURN(const Form form,
                      Form::Parse(request.content_type, request.body));
  CS_ASSIGN_OR_RETURN(const ClientRow client,
                      ResourceServerOf(service, request, form));
  CS_ASSIGN_OR_RETURN(const std::string token, form.Required("token"));
  CS_ASSIGN_OR_RETURN(const auto claims, Look(service, client, token));
  if (request.accept.find(kSignedAnswer) == std::string::npos) {
    return JsonResponse(AnswerJson(claims));
  }
  JsonWriter json;
  json.BeginObject()
      .String("iss", service.config.issuer)
      .String("aud", client.name)
      .Int("iat", service.clock.NowMs() / 1000)
      .Raw("token_introspection", AnswerJson(claims))
      .EndObject();
  Response response;
  response.content_type = kSignedAnswer;
  CS_ASSIGN_OR_RETURN(
      response.body, service.issuer.Sign(jose::kTypIntrospection, json.text()));
  return response;
}

// Who asks for a revocation, in words of the ledger; kNotYourGrant.
Result<std::string> Revoker(const PresentedGrant& grant,
                            const std::optional<ClientRow>& server,
                            const std::optional<AttestedClient>& client) {
  if (server) {
    if (grant.audience != server->audience) {
      return Fail(ErrorCode::kNotYourGrant);
    }
    return "resource server " + server->name;
  }
  v1::SessionBinding binding;
  if (!binding.ParseFromString(AsString(grant.action.session.binding))) {
    return Fail(ErrorCode::kStorageCorrupt, "session binding");
  }
  if (!client || binding.pop_jkt() != client->proof.jkt) {
    return Fail(ErrorCode::kNotYourGrant);
  }
  return std::string("its session");
}

Status RevokeInStore(const Service& service, StoreTransaction& transaction,
                     const PresentedGrant& grant, const std::string& revoker,
                     std::optional<uint64_t>* index) {
  const uint64_t decision = grant.action.row.ledger_index;
  CS_ASSIGN_OR_RETURN(const auto before,
                      transaction.FindGrantRevocation(decision));
  if (before) return {};
  v1::LedgerEntry entry = EntryAbout(v1::ENTRY_KIND_REVOCATION, grant.action);
  entry.set_detail("grant revoked by " + revoker);
  CS_RETURN_IF_ERROR(Append(service, transaction, std::move(entry), index));
  return transaction.PutGrantRevocation({.ledger_index = decision,
                                         .revoked_ms = service.clock.NowMs(),
                                         .revoked_index = **index});
}

Result<Response> Revoke(const Service& service, const Request& request) {
  CS_ASSIGN_OR_RETURN(const Form form,
                      Form::Parse(request.content_type, request.body));
  std::optional<AttestedClient> client;
  std::optional<ClientRow> server;
  if (!request.client_attestation.empty() || !request.dpop.empty()) {
    CS_ASSIGN_OR_RETURN(
        client,
        CheckAttestedClient(service, request,
                            EndpointUrl(service.config.issuer, kRevokePath)));
  } else {
    CS_ASSIGN_OR_RETURN(server, ResourceServerOf(service, request, form));
  }
  CS_ASSIGN_OR_RETURN(const std::string token, form.Required("token"));
  std::optional<uint64_t> index;
  Status refused;  // Spends the proof all the same.
  const auto revoke = [&](StoreTransaction& transaction) -> Status {
    if (client) CS_RETURN_IF_ERROR(SpendProof(transaction, client->proof));
    const auto grant = FindPresentedGrant(service, transaction, token);
    if (!grant && grant.error().code == ErrorCode::kTokenInvalid) return {};
    CS_RETURN_IF_ERROR(grant);
    const auto revoker = Revoker(*grant, server, client);
    if (!revoker) {
      refused = tl::unexpected<Error>(revoker.error());
      return {};
    }
    return RevokeInStore(service, transaction, *grant, *revoker, &index);
  };
  CS_RETURN_IF_ERROR(service.store.Write(revoke));
  CS_RETURN_IF_ERROR(std::move(refused));
  CS_RETURN_IF_ERROR(Publish(service, index));
  return JsonResponse("{}");
}

Result<std::optional<uint64_t>> KeepReport(const Service& service,
                                           const ClientRow& client,
                                           const v1::UseReport& report) {
  std::optional<uint64_t> index;
  const auto keep = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(
        const Sha256Digest digest,
        DigestFrom(AsBytes(report.action_digest()), "action_digest"));
    CS_ASSIGN_OR_RETURN(const DecidedAction action,
                        FindDecidedAction(transaction, digest));
    if (report.jti().empty() || action.decision.grant_jti() != report.jti()) {
      return Fail(ErrorCode::kNotFound, "no such grant");
    }
    CS_ASSIGN_OR_RETURN(const AskedAction asked,
                        FindAskedAction(transaction, action.row));
    if (asked.request.grant_audience() != client.audience) {
      return Fail(ErrorCode::kNotYourGrant);
    }
    CS_ASSIGN_OR_RETURN(const bool first,
                        transaction.ConsumeOnce(
                            "reported:" + report.jti() + ":" + report.outcome(),
                            action.decision.grant_expires_s()));
    if (!first) return {};
    v1::LedgerEntry entry = EntryAbout(v1::ENTRY_KIND_REPORT, action);
    entry.set_detail(report.outcome() + ", reported by " + client.name);
    return Append(service, transaction, std::move(entry), &index);
  };
  CS_RETURN_IF_ERROR(service.store.Write(keep));
  CS_RETURN_IF_ERROR(Publish(service, index));
  return index;
}

Result<Response> Report(const Service& service, const Request& request) {
  CS_ASSIGN_OR_RETURN(const Format format, FormatOf(request));
  v1::UseReport report;
  CS_RETURN_IF_ERROR(ParseBody(request.body, format, report));
  CS_ASSIGN_OR_RETURN(
      const ClientRow client,
      AuthenticateResourceServer(
          service, {.authorization = request.authorization,
                    .client_id = {},
                    .assertion_type = std::string(
                        report.client_assertion().empty() ? "" : kJwtBearer),
                    .assertion = report.client_assertion()}));
  if (std::ranges::find(kOutcomes, report.outcome()) == kOutcomes.end()) {
    return Fail(ErrorCode::kBadRequest, "outcome: used, refused or failed");
  }
  CS_ASSIGN_OR_RETURN(const auto index, KeepReport(service, client, report));
  JsonWriter json;
  json.BeginObject().Bool("recorded", index.has_value());
  if (index) json.Int("ledger_index", static_cast<int64_t>(*index));
  json.EndObject();
  return JsonResponse(std::move(json).text());
}

}  // namespace

Response IntrospectToken(const Service& service, const Request& request) {
  Result<Response> response = Introspect(service, request);
  if (!response) return OAuthErrorResponse(request, response.error());
  return *std::move(response);
}

Response RevokeToken(const Service& service, const Request& request) {
  Result<Response> response = Revoke(service, request);
  if (!response) response = OAuthErrorResponse(request, response.error());
  if (!request.dpop.empty()) {
    response->headers.emplace_back("DPoP-Nonce", DpopNonce(service));
  }
  return *std::move(response);
}

Response ReportUse(const Service& service, const Request& request) {
  Result<Response> response = Report(service, request);
  if (!response) return ProblemResponse(response.error());
  return *std::move(response);
}

}  // namespace countersign::authz
