#include "attest/authz/grant_issuer.h"

#include "attest/authz/approval.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/oauth/names.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kHttpAction = "http:";

std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

std::string StatusListUri(const std::string& issuer, uint64_t ledger_index) {
  return EndpointUrl(issuer, kStatusPath) + "/" +
         std::to_string(ledger_index / kStatusListSize);
}

}  // namespace

TokenSession TokenSessionOf(const v1::SessionBinding& binding,
                            const Sha256Digest& binding_digest,
                            std::string subject) {
  TokenSession session;
  session.device_id = Hex(binding.device_id());
  session.subject = std::move(subject);
  session.client_id = binding.workload().spiffe_id().empty()
                          ? "urn:countersign:device:" + session.device_id
                          : binding.workload().spiffe_id();
  session.jkt = binding.pop_jkt();
  session.session_id = Hex(binding.session_id());
  session.binding_digest = ToHex(binding_digest);
  return session;
}

std::string AuthorizationDetails(const TokenAction& action) {
  const v1::ActionRequest& request = action.request;
  JsonWriter json;
  json.BeginArray()
      .BeginObject()
      .String("type", kActionDetails)
      .BeginArray("actions")
      .String("", request.name())
      .EndArray()
      .BeginArray("locations")
      .String("", request.resource())
      .EndArray()
      .String("purpose", request.purpose())
      .Optional("request_sha256", Hex(request.request_sha256()));
  if (action.approval != nullptr) WriteApproval(json, *action.approval);
  json.EndObject().EndArray();
  return std::move(json).text();
}

jose::KeySet GrantIssuer::keys() const {
  jose::KeySet keys;
  keys.Add(key_.public_key());
  return keys;
}

Result<std::string> GrantIssuer::Grant(const TokenSession& session,
                                       const TokenAction& action,
                                       std::string_view jti,
                                       int64_t expires_s) const {
  const v1::ActionRequest& request = action.request;
  JsonWriter claims;
  claims.BeginObject()
      .String("iss", issuer_)
      .String("aud", request.grant_audience())
      .String("sub", session.subject)
      .String("client_id", session.client_id)
      .BeginObject("act")
      .String("sub", session.client_id)
      .EndObject()
      .Raw("authorization_details", AuthorizationDetails(action))
      .BeginObject("cnf")
      .String("jkt", session.jkt)
      .EndObject()
      .String("sid", session.session_id)
      .Optional("txn", request.task_id())
      .String("jti", jti)
      .Int("iat", action.issued_s)
      .Int("nbf", action.issued_s)
      .Int("exp", expires_s)
      .BeginObject("status")
      .BeginObject("status_list")
      .Int("idx", static_cast<int64_t>(action.ledger_index % kStatusListSize))
      .String("uri", StatusListUri(issuer_, action.ledger_index))
      .EndObject()
      .EndObject()
      .BeginObject("evidence")
      .String("device_id", session.device_id)
      .String("session_binding_digest", session.binding_digest)
      .String("action_digest", ToHex(action.digest))
      .BeginObject("ledger")
      .String("origin", ledger_origin_)
      .Int("index", static_cast<int64_t>(action.ledger_index))
      .EndObject()
      .EndObject()
      .EndObject();
  return jose::SignJws(key_, jose::kTypGrant, claims.text());
}

Result<std::string> GrantIssuer::Receipt(const TokenAction& action,
                                         std::string_view jti) const {
  const v1::ActionRequest& request = action.request;
  JsonWriter claims;
  claims.BeginObject()
      .String("iss", issuer_)
      .String("aud", request.grant_audience());
  if (request.name().starts_with(kHttpAction)) {
    claims.String("htm", request.name().substr(kHttpAction.size()));
  }
  claims.String("htu", request.resource());
  if (request.request_sha256().empty()) {
    claims.String("body", "unbound");
  } else {
    claims.String("request_sha256", Hex(request.request_sha256()));
  }
  claims.String("action_digest", ToHex(action.digest))
      .String("decision", "permit")
      .String("jti", jti)
      .Int("ledger_index", static_cast<int64_t>(action.ledger_index))
      .Int("iat", action.issued_s)
      .Int("exp", action.issued_s + kReceiptTtlS)
      .EndObject();
  return jose::SignJws(key_, jose::kTypReceipt, claims.text());
}

Result<std::string> GrantIssuer::ClientAttestation(
    const TokenSession& session, const jose::Es256PublicKey& session_key,
    int64_t issued_s, int64_t expires_s) const {
  JsonWriter claims;
  claims.BeginObject()
      .String("iss", issuer_)
      .String("sub", session.client_id)
      .Int("iat", issued_s)
      .Int("exp", expires_s)
      .BeginObject("cnf")
      .Raw("jwk", session_key.ToJwkJson())
      .EndObject()
      .EndObject();
  return jose::SignJws(key_, jose::kTypClientAttestation, claims.text());
}

}  // namespace countersign::authz
