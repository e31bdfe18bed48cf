#include "attest/authz/enroll.h"

#include <algorithm>

#include "attest/authz/device_identity.h"
#include "attest/authz/tokens.h"
#include "attest/base/digest.h"
#include "attest/statement/statement.h"
#include "attest/tpm/make_credential.h"
#include "attest/verifier/quoted_statement.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

// Names an attempt whatever the order in which its EKs came.
Sha256Digest AttemptOf(const Sha256Digest& token_sha256,
                       const EnrollmentKeys& keys) {
  std::vector<Bytes> names;
  for (const tpm::PublicArea& ek : keys.eks) names.push_back(ek.name());
  std::ranges::sort(names);
  BigEndianWriter attempt;
  attempt.Raw(token_sha256).Sized16(keys.ak.name()).Sized16(keys.ek().name());
  for (const Bytes& name : names) attempt.Sized16(name);
  return Sha256(attempt.bytes());
}

v1::Enrollment TranscriptOf(const Config& config, const EnrollmentRow& row,
                            const EnrollmentKeys& keys) {
  v1::Enrollment transcript;
  transcript.set_issuer(config.issuer);
  transcript.set_tenant(config.tenant);
  transcript.set_enrollment_id(AsString(row.id));
  transcript.set_nonce(AsString(row.nonce));
  for (const tpm::PublicArea& ek : keys.eks) {
    transcript.add_ek_sha256(AsString(Sha256(ek.bytes())));
  }
  transcript.set_ak_name(AsString(keys.ak.name()));
  transcript.set_token_sha256(AsString(row.token_sha256));
  return transcript;
}

Result<v1::EnrollmentRequest> StoredRequest(const EnrollmentRow& row) {
  v1::EnrollmentRequest request;
  if (!request.ParseFromArray(row.request.data(),
                              static_cast<int>(row.request.size()))) {
    return Fail(ErrorCode::kStorageCorrupt, "enrollment");
  }
  return request;
}

Status CheckTranscript(const v1::Statement& statement,
                       const v1::Enrollment& expected) {
  CS_ASSIGN_OR_RETURN(
      const auto transcript,
      statement::ParseStatement<v1::Enrollment>(AsBytes(statement.body()),
                                                statement::kMaxEnrollmentSize));
  if (transcript.issuer() != expected.issuer()) {
    return Fail(ErrorCode::kWrongIssuer);
  }
  if (transcript.tenant() != expected.tenant()) {
    return Fail(ErrorCode::kWrongTenant);
  }
  // Both are canonical: equal bytes are equal transcripts.
  if (!Equal(AsBytes(statement.body()),
             statement::SerializeStatement(expected))) {
    return Fail(ErrorCode::kCredentialActivationFailed, "another transcript");
  }
  return {};
}

}  // namespace

Result<std::optional<DeviceRow>> Enroller::Identify(StoreView& view,
                                                    const EnrollmentKeys& keys,
                                                    Bytes* holder) const {
  CS_ASSIGN_OR_RETURN(auto device, IdentifyDevice(view, keys.ek().name(),
                                                  keys.other_names(), holder));
  if (device && device->revoked) return Fail(ErrorCode::kDeviceRevoked);
  CS_ASSIGN_OR_RETURN(const auto ak, view.FindAk(keys.ak.name()));
  if (ak && (!device || ak->device_id != device->id)) {
    *holder = ak->device_id;
    return Fail(ErrorCode::kDeviceIdentityConflict, "the AK is its AK");
  }
  return device;
}

Status Enroller::CheckAdmission(StoreView& view,
                                const EnrollmentRow& enrollment,
                                const EnrollmentKeys& keys) const {
  if (!enrollment.token) {
    return Fail(ErrorCode::kEkNotTrusted, "a new device needs a token");
  }
  CS_ASSIGN_OR_RETURN(const auto token, view.FindToken(*enrollment.token));
  CS_RETURN_IF_ERROR(
      CheckToken(token, TokenKind::kEnroll, service_.clock.NowMs()));
  if (token->max_uses > 1 && keys.judgement.trust == "first-use") {
    return Fail(ErrorCode::kEkNotTrusted,
                "a token for several devices is not enough without a "
                "certificate or the allow-list");
  }
  return {};
}

// Of an EK that needs no token: none of its uses is spent, so it may have none
// left, but whoever revoked it or let it expire meant it.
Status Enroller::CheckSpareToken(StoreView& view,
                                 const Sha256Digest& key) const {
  CS_ASSIGN_OR_RETURN(const auto token, view.FindToken(key));
  Status good = CheckToken(token, TokenKind::kEnroll, service_.clock.NowMs());
  if (!good && good.error().code == ErrorCode::kTokenUsed) return {};
  return good;
}

void Enroller::NoteConflict(const Bytes& holder, const Error& error) {
  if (holder.empty()) return;
  v1::LedgerEntry subject;
  subject.set_device_id(AsString(holder));
  findings_.Record(std::move(subject), error);
}

Result<v1::EnrollmentAnswer> Enroller::Begin(
    const v1::EnrollmentRequest& request, const EkAdmission& admission) {
  const int64_t now_ms = service_.clock.NowMs();
  CS_ASSIGN_OR_RETURN(const EnrollmentKeys keys,
                      ReadEnrollmentRequest(request, admission, now_ms));
  EnrollmentRow row;
  row.token_sha256 = Sha256(AsBytes(request.token()));
  row.attempt = AttemptOf(row.token_sha256, keys);
  if (!request.token().empty()) {
    CS_ASSIGN_OR_RETURN(
        row.token, EnrollmentTokenKey(request.token(),
                                      service_.key.public_key().thumbprint()));
  }
  v1::EnrollmentRequest kept = request;
  kept.clear_token();
  row.request = ToBytes(AsBytes(kept.SerializeAsString()));

  Bytes holder;
  const auto begin = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(const auto device,
                        Identify(transaction, keys, &holder));
    CS_ASSIGN_OR_RETURN(const auto before,
                        transaction.FindEnrollmentByAttempt(row.attempt));
    const bool activated = before && !before->device_id.empty();
    if (!activated && !device && !keys.judgement.allow_listed) {
      CS_RETURN_IF_ERROR(CheckAdmission(transaction, row, keys));
    } else if (!activated && row.token) {
      CS_RETURN_IF_ERROR(CheckSpareToken(transaction, *row.token));
    }
    row.id = before ? before->id : RandomBytes(16);
    if (before) row.device_id = before->device_id;
    if (before && before->expires_ms > now_ms) {
      row.nonce = before->nonce;
      row.secret = before->secret;
    } else {
      row.nonce = RandomBytes(32);
      row.secret = RandomBytes(32);
    }
    row.expires_ms = now_ms + service_.config.enrollment.pending_ttl_s * 1000;
    return transaction.PutEnrollment(row);
  };
  if (const Status begun = service_.store.Write(begin); !begun) {
    NoteConflict(holder, begun.error());
    return tl::unexpected<Error>(begun.error());
  }

  CS_ASSIGN_OR_RETURN(
      const tpm::Credential credential,
      tpm::MakeCredential(keys.ek(), keys.ak.name(), Secret(row.secret)));
  v1::EnrollmentAnswer answer;
  answer.set_enrollment_id(AsString(row.id));
  answer.set_nonce(AsString(row.nonce));
  answer.set_credential_blob(AsString(credential.id_object));
  answer.set_encrypted_secret(AsString(credential.encrypted_secret));
  answer.set_issuer(service_.config.issuer);
  answer.set_tenant(service_.config.tenant);
  answer.set_pcr_selection(service_.config.enrollment.pcr_selection.ToText());
  return answer;
}

Result<std::string> Enroller::Activate(ByteSpan enrollment_id,
                                       const v1::ActivationRequest& request,
                                       const EkAdmission& admission) {
  const int64_t now_ms = service_.clock.NowMs();
  std::optional<EnrollmentRow> row;
  const auto find = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(row, view.FindEnrollment(enrollment_id));
    return {};
  };
  CS_RETURN_IF_ERROR(service_.store.Read(find));
  if (!row || row->expires_ms <= now_ms) {
    return Fail(ErrorCode::kEnrollmentUnknown);
  }
  CS_ASSIGN_OR_RETURN(const auto begun, StoredRequest(*row));
  CS_ASSIGN_OR_RETURN(const EnrollmentKeys keys,
                      ReadEnrollmentRequest(begun, admission, now_ms));

  const verifier::KnownDevice claimed{
      .issuer = service_.config.issuer,
      .tenant = service_.config.tenant,
      .device_id = {},
      .ak = keys.ak,
      .qualified_signer = keys.qualified_signer,
      .selection = service_.config.enrollment.pcr_selection,
      .out_of_service = std::nullopt};
  CS_ASSIGN_OR_RETURN(verifier::QuotedStatement quoted,
                      verifier::VerifyQuotedStatement(
                          request.transcript(), StatementType::kEnrollment,
                          request.quote(), claimed));
  const ProvenEnrollment proven{.request = begun,
                                .keys = keys,
                                .attest_sha256 = quoted.quote.attest_sha256(),
                                .clock = quoted.quote.clock()};
  CS_RETURN_IF_ERROR(CheckTranscript(
      request.transcript(), TranscriptOf(service_.config, *row, keys)));
  const Bytes pae = statement::Pae(request.transcript().type(),
                                   AsBytes(request.transcript().body()));
  if (!ConstantTimeEqual(AsBytes(request.proof()),
                         HmacSha256(row->secret, pae))) {
    return Fail(ErrorCode::kCredentialActivationFailed, "the proof");
  }
  CS_RETURN_IF_ERROR(verifier::VerifyPcrs(std::move(quoted.quote),
                                          request.quote(), claimed.selection));

  Bytes holder;
  v1::DeviceRecord record;
  const auto admit = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(row, transaction.FindEnrollment(enrollment_id));
    if (!row) return Fail(ErrorCode::kEnrollmentUnknown);
    CS_ASSIGN_OR_RETURN(record, Admit(transaction, *row, proven, &holder));
    return {};
  };
  if (const Status admitted = service_.store.Write(admit); !admitted) {
    NoteConflict(holder, admitted.error());
    return tl::unexpected<Error>(admitted.error());
  }
  CS_RETURN_IF_ERROR(service_.ledger.Publish(record.ledger_index()));
  return record.SerializeAsString();
}

Result<v1::DeviceRecord> Enroller::Admit(StoreTransaction& transaction,
                                         EnrollmentRow& enrollment,
                                         const ProvenEnrollment& proven,
                                         Bytes* holder) {
  const EnrollmentKeys& keys = proven.keys;
  CS_ASSIGN_OR_RETURN(auto device, Identify(transaction, keys, holder));
  if (!enrollment.device_id.empty()) {
    // The answer was lost: the same record again, unless it was superseded.
    v1::DeviceRecord record;
    if (!device || device->id != enrollment.device_id ||
        device->ak_name != keys.ak.name() ||
        !record.ParseFromArray(device->record.data(),
                               static_cast<int>(device->record.size()))) {
      return Fail(ErrorCode::kAkRetired, "the device enrolled again since");
    }
    return record;
  }
  if (!device && !keys.judgement.allow_listed) {
    CS_RETURN_IF_ERROR(CheckAdmission(transaction, enrollment, keys));
    CS_ASSIGN_OR_RETURN(auto token, transaction.FindToken(*enrollment.token));
    ++token->uses;
    CS_RETURN_IF_ERROR(transaction.PutToken(*token));
  }

  CS_ASSIGN_OR_RETURN(const v1::DeviceRecord record,
                      AdmitDevice(service_, transaction, device, proven));
  enrollment.device_id = ToBytes(AsBytes(record.device_id()));
  CS_RETURN_IF_ERROR(transaction.PutEnrollment(enrollment));
  return record;
}

}  // namespace countersign::authz
