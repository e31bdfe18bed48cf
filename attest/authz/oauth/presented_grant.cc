#include "attest/authz/oauth/presented_grant.h"

#include "attest/authz/policy/policy.h"
#include "attest/base/digest.h"
#include "attest/jose/claims.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"
#include "attest/statement/statement.h"
#include "attest/verifier/appraise.h"

namespace countersign::authz {
namespace {

tl::unexpected<Error> Corrupt(std::string what) {
  return Fail(ErrorCode::kStorageCorrupt, std::move(what));
}

tl::unexpected<Error> NotOurs(std::string why) {
  return Fail(ErrorCode::kTokenInvalid, std::move(why));
}

Result<jose::JsonObject> Nested(const jose::JsonObject& claims,
                                std::string_view name) {
  return jose::JsonObject::Parse(claims.Object(name).value_or(""),
                                 jose::kMaxTokenSize);
}

}  // namespace

Result<DecidedAction> FindDecidedAction(StoreView& view,
                                        const Sha256Digest& digest) {
  CS_ASSIGN_OR_RETURN(auto row, view.FindAction(digest));
  if (!row || row->session_id.empty()) return Fail(ErrorCode::kNotFound);
  CS_ASSIGN_OR_RETURN(auto session, view.FindSession(row->session_id));
  if (!session) return Corrupt("session of an action");
  DecidedAction action{
      .row = *std::move(row), .decision = {}, .session = *std::move(session)};
  if (!action.decision.ParseFromString(AsString(action.row.decision))) {
    return Corrupt("decision");
  }
  return action;
}

Result<AskedAction> FindAskedAction(StoreView& view, const ActionRow& action) {
  CS_ASSIGN_OR_RETURN(const auto batch, view.FindBatch(action.batch));
  if (!batch) return Corrupt("batch of an action");
  CS_ASSIGN_OR_RETURN(const auto bytes,
                      view.FindEvidence(batch->evidence_sha256));
  if (!bytes) return Fail(ErrorCode::kNotFound, "the evidence was erased");
  v1::BatchEvidence evidence;
  if (Sha256(*bytes) != batch->evidence_sha256 ||
      !evidence.ParseFromString(AsString(*bytes)) ||
      action.leaf_index >= static_cast<uint32_t>(evidence.actions_size())) {
    return Corrupt("evidence of a batch");
  }
  const ByteSpan leaf =
      AsBytes(evidence.actions(static_cast<int>(action.leaf_index)));
  if (statement::StatementDigest(statement::StatementType::kAction, leaf) !=
      action.digest) {
    return Corrupt("evidence of an action");
  }
  CS_ASSIGN_OR_RETURN(verifier::BatchLeaf read, verifier::ReadLeaf(leaf));
  return AskedAction{std::move(read.request), read.action.approval()};
}

Result<PresentedGrant> FindPresentedGrant(const Service& service,
                                          StoreView& view,
                                          std::string_view token) {
  const auto jws =
      jose::VerifyJws(token, jose::kTypGrant, service.issuer.keys());
  if (!jws) return NotOurs(std::string(Name(jws.error().code)));
  CS_ASSIGN_OR_RETURN(
      const auto claims,
      jose::JsonObject::Parse(jws->claims_json, jose::kMaxTokenSize));
  PresentedGrant grant;
  grant.claims_json = jws->claims_json;
  grant.audience = claims.Text("aud").value_or("");
  const auto checked = jose::CheckClaims(jws->claims_json,
                                         {.issuer = service.config.issuer,
                                          .audience = grant.audience,
                                          .now_s = service.clock.NowMs() / 1000,
                                          .leeway_s = 0,
                                          .max_lifetime_s = kMaxGrantTtlS});
  if (!checked) return NotOurs(checked.error().detail);
  grant.jti = checked->jti;
  grant.expires_s = checked->expires_at_s;
  const auto evidence = Nested(claims, "evidence");
  if (!evidence) return NotOurs("no evidence");
  const auto bytes = FromHex(evidence->Text("action_digest").value_or(""));
  const auto digest = DigestFrom(bytes ? *bytes : Bytes(), "action_digest");
  if (!digest) return NotOurs("no action");
  auto action = FindDecidedAction(view, *digest);
  if (!action && action.error().code == ErrorCode::kNotFound) {
    return NotOurs("no such action");
  }
  CS_RETURN_IF_ERROR(action);
  grant.action = *std::move(action);
  if (grant.jti.empty() || grant.action.decision.grant_jti() != grant.jti) {
    return NotOurs("its action has another grant");
  }
  return grant;
}

v1::LedgerEntry EntryAbout(v1::EntryKind kind, const DecidedAction& action) {
  v1::LedgerEntry entry;
  entry.set_kind(kind);
  entry.set_device_id(AsString(action.session.device_id));
  entry.set_session_id(AsString(action.session.id));
  entry.set_session_binding_digest(AsString(action.session.binding_digest));
  entry.set_action_digest(AsString(action.row.digest));
  entry.set_grant_jti(action.decision.grant_jti());
  entry.set_refers_to(action.row.ledger_index + 1);
  return entry;
}

}  // namespace countersign::authz
