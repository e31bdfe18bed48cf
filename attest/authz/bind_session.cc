#include "attest/authz/bind_session.h"

#include <algorithm>

#include "attest/authz/challenge_store.h"
#include "attest/authz/login/session_login.h"
#include "attest/authz/session_end.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"
#include "attest/verifier/appraise.h"
#include "attest/verifier/tpm_clock_check.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

// Reads the binding only to learn which device to look up.
Result<v1::SessionBinding> PeekBinding(const v1::SessionEvidence& evidence) {
  return statement::ParseStatement<v1::SessionBinding>(
      AsBytes(evidence.statement().body()), statement::kMaxSessionBindingSize);
}

Result<verifier::AppraisedSession> Appraise(const Service& service,
                                            const v1::SessionEvidence& evidence,
                                            const StoredDevice& device,
                                            const Origin& origin) {
  const verifier::ExpectedSession expected{
      .last_clock = device.ak.clock,
      .tls_exporter = origin.tls_exporter,
      .allow_unbound_channel = !service.config.sessions.require_channel_binding,
      .consume_nonce = [&](const v1::SessionBinding& binding) {
        return SpendChallenge(service, AsBytes(binding.nonce()), device.row.id,
                              origin);
      }};
  CS_ASSIGN_OR_RETURN(const auto result, verifier::AppraiseSession(
                                             evidence, device.known, expected));
  if (!result.trusted()) return tl::unexpected<Error>(result.refusal());
  return result.claims();
}

Status CheckPrevious(const Service& service,
                     const v1::SessionBinding& binding) {
  const std::string& previous = binding.previous_evidence_digest();
  if (previous.empty()) return {};
  const auto digest = DigestFrom(AsBytes(previous), "previous_evidence_digest");
  if (!digest) {
    return Fail(ErrorCode::kMalformedStatement, digest.error().detail);
  }
  const auto find = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto session, view.FindSessionByBinding(*digest));
    if (!session) {
      return Fail(ErrorCode::kMalformedStatement, "unknown previous session");
    }
    if (!Equal(session->device_id, AsBytes(binding.device_id()))) {
      return Fail(ErrorCode::kSessionOfOtherDevice, "the previous session");
    }
    return {};
  };
  return service.store.Read(find);
}

// The rule file alone says who may open a session, also where a decision point
// is asked about actions: a session by itself permits nothing, and the point
// could take nothing back that it let in here.
Status CheckPolicy(const Service& service,
                   const verifier::AppraisedSession& session,
                   const StoredDevice& device, std::optional<LoginRow>* login) {
  const v1::SessionBinding& binding = session.binding;
  CS_RETURN_IF_ERROR(CheckBindingTexts(binding));
  if (binding.expires_at_ms() <= binding.issued_at_ms()) {
    return Fail(ErrorCode::kMalformedStatement, "expires before it is issued");
  }
  CS_RETURN_IF_ERROR(CheckPrevious(service, binding));
  CS_RETURN_IF_ERROR(service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(*login, CheckLogin(service, view, binding));
    return {};
  }));
  const SessionFacts facts =
      FactsOf(binding, device.record, session.pcrs.pcr_digest(),
              *login ? &**login : nullptr);
  if (!service.policy.Get()->MayOpenSession(facts)) {
    return Fail(ErrorCode::kWorkloadNotAllowed,
                "no rule permits this user, program and device anything");
  }
  return {};
}

// The laptop's clock is a hint: it gives the lifetime that was asked for.
int64_t LifetimeMs(const Service& service, const v1::SessionBinding& binding) {
  // Unsigned, since hostile times may be as far apart as the type allows.
  const uint64_t asked = static_cast<uint64_t>(binding.expires_at_ms()) -
                         static_cast<uint64_t>(binding.issued_at_ms());
  const auto most =
      static_cast<uint64_t>(service.config.sessions.max_lifetime_s) * 1000;
  return static_cast<int64_t>(std::min(asked, most));
}

SessionRow RowOf(const Service& service,
                 const verifier::AppraisedSession& session,
                 const v1::SessionEvidence& evidence, const LoginRow* login) {
  SessionRow row;
  const v1::SessionBinding& binding = session.binding;
  row.id = ToBytes(AsBytes(binding.session_id()));
  row.device_id = ToBytes(AsBytes(binding.device_id()));
  row.ak_name = ToBytes(AsBytes(binding.ak_name()));
  row.binding_digest = session.digest;
  row.binding = ToBytes(AsBytes(evidence.statement().body()));
  row.subject = SubjectOf(binding, login);
  row.clock = session.pcrs.clock();
  row.pcr_digest = ToBytes(session.pcrs.pcr_digest());
  row.opened_ms = service.clock.NowMs();
  row.expires_ms = row.opened_ms + LifetimeMs(service, binding);
  if (login != nullptr) {
    row.expires_ms = std::min(row.expires_ms, login->expires_ms);
  }
  return row;
}

v1::LedgerEntry EntryOf(const SessionRow& row, const Sha256Digest& attest) {
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_SESSION);
  entry.set_device_id(AsString(row.device_id));
  entry.set_session_id(AsString(row.id));
  entry.set_session_binding_digest(AsString(row.binding_digest));
  entry.set_attest_sha256(AsString(attest));
  entry.set_evidence_sha256(AsString(row.evidence_sha256));
  return entry;
}

// Rechecks what may have changed since it was read, and writes the session.
Status Keep(const Service& service, StoreTransaction& transaction,
            const verifier::AppraisedSession& session,
            const v1::SessionEvidence& evidence, SessionRow& row) {
  CS_ASSIGN_OR_RETURN(StoredDevice device,
                      FindStoredDevice(service.config, transaction,
                                       row.device_id, row.ak_name));
  if (device.known.out_of_service) return Fail(*device.known.out_of_service);
  CS_ASSIGN_OR_RETURN(const auto login,
                      CheckLogin(service, transaction, session.binding));
  if (device.ak.clock) {
    CS_RETURN_IF_ERROR(verifier::CheckNotBefore(*device.ak.clock, row.clock));
  }
  CS_ASSIGN_OR_RETURN(const auto same_id, transaction.FindSession(row.id));
  if (same_id) {
    return Fail(ErrorCode::kMalformedStatement, "session_id is in use");
  }
  const auto why = [&row](const SessionRow& earlier) -> std::string_view {
    if (!earlier.clock.SameBoot(row.clock)) return kEndReboot;
    return earlier.expires_ms <= row.opened_ms ? kEndExpired : "";
  };
  CS_RETURN_IF_ERROR(EndSessions(service.ledger, transaction, row.device_id,
                                 row.opened_ms, why));
  device.ak.clock = row.clock;
  device.ak.seen_ms = row.opened_ms;
  CS_RETURN_IF_ERROR(transaction.PutAk(device.ak));

  const std::string bytes = evidence.SerializeAsString();
  row.evidence_sha256 = Sha256(AsBytes(bytes));
  CS_RETURN_IF_ERROR(
      transaction.PutEvidence(row.evidence_sha256, AsBytes(bytes)));
  v1::LedgerEntry entry = EntryOf(row, session.pcrs.attest_sha256());
  if (login) entry.set_refers_to(login->ledger_index + 1);
  CS_ASSIGN_OR_RETURN(*entry.mutable_subject_pseudonym(),
                      SubjectPseudonym(transaction, row.subject));
  CS_ASSIGN_OR_RETURN(row.ledger_index,
                      service.ledger.Append(transaction, {&entry, 1}));
  return transaction.PutSession(row);
}

Result<v1::SessionAnswer> Answer(const Service& service, const SessionRow& row,
                                 const v1::SessionBinding& binding,
                                 const v1::SessionEvidence& evidence) {
  v1::SessionAnswer answer;
  CS_ASSIGN_OR_RETURN(
      const auto session_key,
      jose::Es256PublicKey::FromCoordinates(AsBytes(evidence.pop_x()),
                                            AsBytes(evidence.pop_y())));
  CS_ASSIGN_OR_RETURN(
      *answer.mutable_client_attestation(),
      service.issuer.ClientAttestation(
          TokenSessionOf(binding, row.binding_digest, row.subject), session_key,
          row.opened_ms / 1000, row.expires_ms / 1000));
  answer.mutable_lease()->set_session_id(AsString(row.id));
  answer.mutable_lease()->set_ttl_s(
      static_cast<uint32_t>(service.config.sessions.lease_ttl_s));
  answer.set_epoch_nonce(
      AsString(service.epochs.Mint(row.device_id, service.clock.NowMs())));
  answer.set_epoch_ttl_s(service.epochs.ttl_s());
  answer.set_expires_at_ms(row.expires_ms);
  answer.set_ledger_index(row.ledger_index);
  answer.set_subject(row.subject);
  answer.set_event_token(AsString(
      service.event_tokens.Mint(row.device_id, service.clock.NowMs())));
  const auto prove = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(*answer.mutable_proof(),
                        LedgerWriter::Prove(view, row.ledger_index));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Read(prove));
  return answer;
}

Result<v1::SessionAnswer> Bind(const Service& service,
                               const v1::SessionEvidence& evidence,
                               const StoredDevice& device,
                               const Origin& origin) {
  CS_ASSIGN_OR_RETURN(const verifier::AppraisedSession session,
                      Appraise(service, evidence, device, origin));
  std::optional<LoginRow> login;
  CS_RETURN_IF_ERROR(CheckPolicy(service, session, device, &login));
  SessionRow row = RowOf(service, session, evidence, login ? &*login : nullptr);
  const auto keep = [&](StoreTransaction& transaction) {
    return Keep(service, transaction, session, evidence, row);
  };
  CS_RETURN_IF_ERROR(service.store.Write(keep));
  CS_RETURN_IF_ERROR(service.ledger.Publish(row.ledger_index));
  return Answer(service, row, session.binding, evidence);
}

}  // namespace

Result<v1::SessionAnswer> BindSession(const Service& service,
                                      Findings& findings,
                                      const v1::SessionEvidence& evidence,
                                      const Origin& origin) {
  CS_ASSIGN_OR_RETURN(const v1::SessionBinding claimed, PeekBinding(evidence));
  std::optional<StoredDevice> device;
  const auto find = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(device, FindStoredDevice(service.config, view,
                                                 AsBytes(claimed.device_id()),
                                                 AsBytes(claimed.ak_name())));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Read(find));
  auto answer = Bind(service, evidence, *device, origin);
  if (!answer && verifier::IsRefusal(answer.error().code)) {
    v1::LedgerEntry subject;
    subject.set_device_id(claimed.device_id());
    subject.set_session_binding_digest(AsString(statement::StatementDigest(
        StatementType::kSessionBinding, AsBytes(evidence.statement().body()))));
    subject.set_attest_sha256(
        AsString(Sha256(AsBytes(evidence.quote().attest()))));
    findings.Record(std::move(subject), answer.error());
  }
  return answer;
}

}  // namespace countersign::authz
