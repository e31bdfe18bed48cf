#include "attest/authz/device_admission.h"

#include "attest/authz/session_end.h"
#include "attest/base/digest.h"
#include "attest/verifier/tpm_clock_check.h"

namespace countersign::authz {
namespace {

v1::DeviceRecord RecordOf(const Config& config,
                          const v1::EnrollmentRequest& request,
                          const EnrollmentKeys& keys) {
  v1::DeviceRecord record;
  record.set_issuer(config.issuer);
  record.set_tenant(config.tenant);
  for (size_t i = 0; i < keys.eks.size(); ++i) {
    v1::EkRecord& ek = *record.add_eks();
    ek.set_public_area(AsString(keys.eks[i].bytes()));
    ek.set_name(AsString(keys.eks[i].name()));
    *ek.mutable_certificates() =
        request.eks(static_cast<int>(i)).certificates();
  }
  record.set_certified_ek(static_cast<uint32_t>(keys.certified_ek));
  record.set_ak_public(AsString(keys.ak.bytes()));
  record.set_ak_name(AsString(keys.ak.name()));
  record.set_qualified_signer(AsString(keys.qualified_signer));
  const EkJudgement& judgement = keys.judgement;
  record.set_ek_class(judgement.ek_class);
  record.set_ek_trust(judgement.trust);
  record.set_ek_root(judgement.identity.root_subject);
  record.set_tpm_manufacturer(judgement.identity.manufacturer);
  record.set_tpm_model(judgement.identity.model);
  record.set_tpm_firmware(judgement.identity.version);
  record.set_pcr_selection(config.enrollment.pcr_selection.ToText());
  return record;
}

v1::LedgerEntry EntryOf(const v1::DeviceRecord& record,
                        const std::string& bytes,
                        const ProvenEnrollment& proven) {
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_ENROLLMENT);
  entry.set_device_id(record.device_id());
  entry.set_attest_sha256(AsString(proven.attest_sha256));
  entry.set_evidence_sha256(AsString(Sha256(AsBytes(bytes))));
  entry.set_detail("ek_trust=" + record.ek_trust());
  return entry;
}

Status PutEks(StoreTransaction& transaction, const EnrollmentKeys& keys,
              const Bytes& device_id) {
  CS_RETURN_IF_ERROR(transaction.PutEk(
      {.name = keys.ek().name(), .device_id = device_id, .proven = true}));
  for (const Bytes& name : keys.other_names()) {
    CS_RETURN_IF_ERROR(
        transaction.PutEk({.name = name, .device_id = device_id}));
  }
  return {};
}

Status PutAk(StoreTransaction& transaction, const ProvenEnrollment& proven,
             const Bytes& device_id, int64_t now_ms) {
  const EnrollmentKeys& keys = proven.keys;
  CS_ASSIGN_OR_RETURN(auto ak, transaction.FindAk(keys.ak.name()));
  if (!ak) {
    ak = AkRow{.name = keys.ak.name(),
               .device_id = device_id,
               .public_area = keys.ak.bytes(),
               .qualified_signer = keys.qualified_signer,
               .clock = std::nullopt};
  }
  if (ak->clock) {
    CS_RETURN_IF_ERROR(verifier::CheckNotBefore(*ak->clock, proven.clock));
  }
  ak->retired = false;
  ak->clock = proven.clock;
  ak->seen_ms = now_ms;
  return transaction.PutAk(*ak);
}

Status RetireAk(const LedgerWriter& ledger, StoreTransaction& transaction,
                const DeviceRow& device, int64_t now_ms) {
  CS_ASSIGN_OR_RETURN(auto ak, transaction.FindAk(device.ak_name));
  if (ak) {
    ak->retired = true;
    CS_RETURN_IF_ERROR(transaction.PutAk(*ak));
  }
  return EndSessions(ledger, transaction, device.id, now_ms,
                     [](const SessionRow&) { return kEndAkRetired; });
}

}  // namespace

Result<v1::DeviceRecord> AdmitDevice(const Service& service,
                                     StoreTransaction& transaction,
                                     const std::optional<DeviceRow>& device,
                                     const ProvenEnrollment& proven) {
  const int64_t now_ms = service.clock.NowMs();
  const Bytes device_id = device ? device->id : RandomBytes(16);
  CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, transaction.LedgerHead());
  v1::DeviceRecord record =
      RecordOf(service.config, proven.request, proven.keys);
  record.set_device_id(AsString(device_id));
  record.set_enrolled_at_ms(now_ms);
  record.set_ledger_index(head.size);
  const std::string bytes = record.SerializeAsString();

  v1::LedgerEntry entry = EntryOf(record, bytes, proven);
  if (device) entry.set_refers_to(device->enrolled_index + 1);
  CS_RETURN_IF_ERROR(service.ledger.Append(transaction, {&entry, 1}));
  CS_RETURN_IF_ERROR(
      transaction.PutEvidence(Sha256(AsBytes(bytes)), AsBytes(bytes)));
  CS_RETURN_IF_ERROR(transaction.PutDevice(
      {.id = device_id,
       .record = ToBytes(AsBytes(bytes)),
       .host = ToBytes(AsBytes(proven.request.host().SerializeAsString())),
       .ak_name = proven.keys.ak.name(),
       .enrolled_ms = now_ms,
       .enrolled_index = head.size}));
  CS_RETURN_IF_ERROR(PutEks(transaction, proven.keys, device_id));
  CS_RETURN_IF_ERROR(PutAk(transaction, proven, device_id, now_ms));
  if (device && device->ak_name != proven.keys.ak.name()) {
    CS_RETURN_IF_ERROR(RetireAk(service.ledger, transaction, *device, now_ms));
  }
  return record;
}

}  // namespace countersign::authz
