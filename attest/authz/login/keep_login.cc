#include "attest/authz/login/keep_login.h"

#include "attest/authz/login/end_login.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

constexpr size_t kIdSize = 16;

LoginRow RowOf(const Service& service, const VerifiedLogin& verified,
               const IdTokenClaims& claims) {
  LoginRow row;
  row.id = RandomBytes(kIdSize);
  row.device_id = ToBytes(AsBytes(verified.login.device_id()));
  row.os_id = verified.login.os_id();
  row.subject = claims.subject;
  row.provider_session = claims.provider_session;
  row.method = verified.login.method() == "device" ? "oidc-device" : "oidc";
  row.groups = claims.groups;
  row.acr = claims.acr;
  row.auth_time_s = claims.auth_time_s;
  row.created_ms = service.clock.NowMs();
  row.expires_ms =
      row.created_ms + service.config.login.oidc.login_lifetime_s * 1000;
  return row;
}

// Sessions of one account must not go on for two people.
Status EndOthers(const Service& service, StoreTransaction& transaction,
                 const LoginRow& row) {
  CS_ASSIGN_OR_RETURN(auto live, transaction.LiveLogins(row.device_id));
  for (LoginRow& other : live) {
    if (other.os_id != row.os_id || other.subject == row.subject) continue;
    CS_RETURN_IF_ERROR(EndLogin(service.ledger, transaction, other,
                                row.created_ms, kEndAnotherUser));
  }
  return {};
}

Status Write(const Service& service, StoreTransaction& transaction,
             const VerifiedLogin& verified, const std::string& claims_json,
             LoginRow& row) {
  CS_ASSIGN_OR_RETURN(
      const StoredDevice device,
      FindStoredDevice(service.config, transaction, row.device_id,
                       AsBytes(verified.login.ak_name())));
  if (device.known.out_of_service) return Fail(*device.known.out_of_service);
  CS_RETURN_IF_ERROR(EndOthers(service, transaction, row));
  v1::LoginEvidence kept;
  *kept.mutable_statement() = verified.evidence.statement();
  *kept.mutable_quote() = verified.evidence.quote();
  kept.set_claims_json(claims_json);
  const std::string bytes = kept.SerializeAsString();
  row.evidence_sha256 = Sha256(AsBytes(bytes));
  CS_RETURN_IF_ERROR(
      transaction.PutEvidence(row.evidence_sha256, AsBytes(bytes)));
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_LOGIN);
  entry.set_device_id(AsString(row.device_id));
  entry.set_attest_sha256(AsString(verified.attest_sha256));
  entry.set_evidence_sha256(AsString(row.evidence_sha256));
  entry.set_detail(row.method);
  CS_ASSIGN_OR_RETURN(*entry.mutable_subject_pseudonym(),
                      SubjectPseudonym(transaction, row.subject));
  CS_ASSIGN_OR_RETURN(row.ledger_index,
                      service.ledger.Append(transaction, {&entry, 1}));
  return transaction.PutLogin(row);
}

}  // namespace

Result<v1::LoginAnswer> KeepLogin(const Service& service,
                                  const VerifiedLogin& verified,
                                  const SignedIn& signed_in,
                                  PendingLoginRow* pending) {
  LoginRow row = RowOf(service, verified, signed_in.claims);
  const auto write = [&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(
        Write(service, transaction, verified, signed_in.claims_json, row));
    if (pending == nullptr) return {};
    pending->login_id = row.id;
    return transaction.PutPendingLogin(*pending);
  };
  CS_RETURN_IF_ERROR(service.store.Write(write));
  CS_RETURN_IF_ERROR(service.ledger.Publish(row.ledger_index));
  return AnswerFor(row, signed_in.claims.display_name);
}

v1::LoginAnswer AnswerFor(const LoginRow& row,
                          const std::string& display_name) {
  v1::LoginAnswer answer;
  answer.set_user_session_id(ToBase64Url(row.id));
  answer.set_subject(row.subject);
  answer.set_display_name(display_name);
  answer.set_method(row.method);
  answer.set_expires_at_ms(row.expires_ms);
  answer.set_ledger_index(row.ledger_index);
  return answer;
}

Result<v1::LoginAnswer> KeepPending(const Service& service,
                                    const VerifiedLogin& verified,
                                    const DeviceAuthorization& started) {
  const int64_t now_ms = service.clock.NowMs();
  PendingLoginRow row;
  row.id = RandomBytes(kIdSize);
  row.device_id = ToBytes(AsBytes(verified.login.device_id()));
  row.evidence = ToBytes(AsBytes(verified.evidence.SerializeAsString()));
  row.attest_sha256 = verified.attest_sha256;
  row.device_code = started.device_code;
  row.interval_s = started.prompt.interval_s();
  row.next_poll_ms = now_ms + row.interval_s * 1000;
  row.expires_ms = now_ms + int64_t{started.prompt.expires_s()} * 1000;
  const auto write = [&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(transaction.DropPendingLogins(now_ms));
    return transaction.PutPendingLogin(row);
  };
  CS_RETURN_IF_ERROR(service.store.Write(write));
  v1::LoginAnswer answer;
  *answer.mutable_prompt() = started.prompt;
  answer.mutable_prompt()->set_pending_id(AsString(row.id));
  return answer;
}

}  // namespace countersign::authz
