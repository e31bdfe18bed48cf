#include "tests/agent/cli/bundle_maker.h"

#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "attest/jose/jws.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/merkle.h"

namespace countersign::agent {
namespace {

using statement::StatementType;
using Claims = nlohmann::ordered_json;

constexpr char kAudience[] = "https://api.example";
constexpr char kReference[] = "000102030405060708090a0b0c0d0e0f";
constexpr int64_t kDecidedAtS = 1'700'000'100;

std::string Serialize(const google::protobuf::MessageLite& message) {
  return AsString(statement::SerializeStatement(message));
}

std::string Hex(std::string_view bytes) { return ToHex(AsBytes(bytes)); }

void Extend(X509* x509, int nid, const char* value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

void SetName(X509_NAME* name, const char* text) {
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(text), -1,
                             -1, 0);
}

X509Ptr NewCertificate(const char* subject, EVP_PKEY* key, long serial) {
  X509Ptr x509(X509_new());
  X509_set_version(x509.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), serial);
  // Valid around the enrollment that the record names, not today.
  ASN1_TIME_set(X509_getm_notBefore(x509.get()), 1'600'000'000);
  ASN1_TIME_set(X509_getm_notAfter(x509.get()), 1'700'000'050);
  SetName(X509_get_subject_name(x509.get()), subject);
  SetName(X509_get_issuer_name(x509.get()), "Test TPM root");
  X509_set_pubkey(x509.get(), key);
  return x509;
}

Bytes Der(X509* x509) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(x509, &der);
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

Manufacturer::Manufacturer() : key(EVP_EC_gen("P-256")) {
  const X509Ptr x509 = NewCertificate("Test TPM root", key.get(), 1);
  Extend(x509.get(), NID_basic_constraints, "critical,CA:TRUE");
  Extend(x509.get(), NID_key_usage, "critical,keyCertSign");
  X509_sign(x509.get(), key.get(), EVP_sha256());
  root = Der(x509.get());
}

Bytes Manufacturer::CertifyEk(const tpm::PublicArea& ek) const {
  const X509Ptr x509 = NewCertificate("Test EK", ek.key(), 2);
  Extend(x509.get(), NID_basic_constraints, "critical,CA:FALSE");
  Extend(x509.get(), NID_key_usage, "critical,keyAgreement");
  Extend(x509.get(), NID_ext_key_usage, "2.23.133.8.1");
  X509_sign(x509.get(), key.get(), EVP_sha256());
  return Der(x509.get());
}

BundleMaker::BundleMaker(bool tpm_session_key, tpm::KeyType ak_type)
    : service_key(jose::Es256Key::Generate().value()),
      ledger_key(ledger::LedgerKey::Generate("authz.example/log").value()),
      device(ak_type),
      session(device, tpm_session_key),
      batch(device) {
  record.set_issuer(verifier::kIssuer);
  record.set_tenant(verifier::kTenant);
  record.set_device_id(AsString(device.device_id));
  v1::EkRecord& ek = *record.add_eks();
  ek.set_public_area(AsString(device.ek.area.bytes()));
  ek.set_name(AsString(device.ek.area.name()));
  ek.add_certificates(AsString(manufacturer.CertifyEk(device.ek.area)));
  record.set_ak_public(AsString(device.ak.area.bytes()));
  record.set_ak_name(AsString(device.ak.area.name()));
  record.set_qualified_signer(
      AsString(fakes::QualifiedSigner(device.ek, device.ak)));
  record.set_ek_class("hardware");
  record.set_ek_trust("certificate");
  record.set_enrolled_at_ms(1'700'000'000'000);
  record.set_pcr_selection("sha256:0-7");
}

v1::ServiceSigned BundleMaker::SignRecord(
    const v1::DeviceRecord& to_sign) const {
  return jose::SignAnswer(service_key,
                          {.issuer = to_sign.issuer(),
                           .audience = "",
                           .kind = std::string(jose::kKindDeviceRecord)},
                          AsBytes("the activation"),
                          to_sign.SerializeAsString(), 1'700'000'000)
      .value();
}

std::string BundleMaker::SignToken(std::string_view typ,
                                   const std::string& claims) const {
  return jose::SignJws(service_key, typ, claims).value();
}

v1::LedgerProof BundleMaker::Prove(const std::vector<std::string>& entries,
                                   uint64_t index) const {
  std::vector<Sha256Digest> leaves;
  leaves.reserve(entries.size());
  for (const std::string& entry : entries) {
    leaves.push_back(
        statement::LeafHash(StatementType::kLedgerEntry, AsBytes(entry)));
  }
  v1::LedgerProof proof;
  proof.set_index(index);
  proof.set_entry(entries[index]);
  for (const auto& hash : statement::InclusionPath(leaves, index)) {
    proof.add_path(AsString(hash));
  }
  proof.set_checkpoint(
      ledger::SignCheckpoint({.origin = ledger_key.verifier().name(),
                              .head = {.size = leaves.size(),
                                       .root = statement::MerkleRoot(leaves)}},
                             ledger_key)
          .value());
  return proof;
}

v1::EvidenceBundle BundleMaker::Build() {
  v1::EvidenceBundle bundle;
  *bundle.mutable_device_record() = SignRecord(record);
  *bundle.mutable_session() = session.Build();
  const Sha256Digest binding_digest =
      statement::StatementDigest(StatementType::kSessionBinding,
                                 AsBytes(bundle.session().statement().body()));

  v1::ActionRequest request;
  batch.Change(leaf, [&](v1::Action& action) {
    request.ParseFromString(action.action_request());
    request.set_grant_audience(kAudience);
    request.set_request_sha256(AsString(Sha256(AsBytes("body"))));
    action.set_action_request(Serialize(request));
    action.set_session_binding_digest(AsString(binding_digest));
    if (!approved) return;
    v1::Approval& approval = *action.mutable_approval();
    approval.set_request_digest(AsString(statement::StatementDigest(
        StatementType::kActionRequest, AsBytes(action.action_request()))));
    approval.set_grade("prompt");
    approval.set_approver("os:1000");
    approval.set_reference(kReference);
  });
  *bundle.mutable_action() = batch.Prove(leaf);
  const Sha256Digest action_digest = statement::StatementDigest(
      StatementType::kAction, AsBytes(bundle.action().action()));

  session_entry.set_kind(v1::ENTRY_KIND_SESSION);
  session_entry.set_service_time_ms(kDecidedAtS * 1000 - 5'000);
  session_entry.set_device_id(AsString(device.device_id));
  session_entry.set_session_id(session.binding.session_id());
  session_entry.set_session_binding_digest(AsString(binding_digest));
  session_entry.set_attest_sha256(
      AsString(Sha256(AsBytes(bundle.session().quote().attest()))));

  decision_entry.set_kind(v1::ENTRY_KIND_DECISION);
  decision_entry.set_service_time_ms(kDecidedAtS * 1000);
  decision_entry.set_device_id(AsString(device.device_id));
  decision_entry.set_session_id(session.binding.session_id());
  decision_entry.set_session_binding_digest(AsString(binding_digest));
  decision_entry.set_action_digest(AsString(action_digest));
  decision_entry.set_batch_digest(AsString(statement::StatementDigest(
      StatementType::kActionBatch, AsBytes(bundle.action().batch().body()))));
  decision_entry.set_attest_sha256(
      AsString(Sha256(AsBytes(bundle.action().quote().attest()))));
  decision_entry.set_decision("permit");
  decision_entry.set_approval_grade(approved ? "prompt" : "");
  decision_entry.set_approval_reference(approved ? kReference : "");
  decision_entry.set_grant_jti("grant-1");
  decision_entry.set_grant_expires_s(kDecidedAtS + 300);
  decision_entry.set_receipt_jti("receipt-1");

  std::vector<std::string> entries(6, Serialize(v1::LedgerEntry()));
  entries[session_index] = Serialize(session_entry);
  entries[decision_index] = Serialize(decision_entry);
  *bundle.mutable_session_entry() = Prove(entries, session_index);
  *bundle.mutable_decision_entry() = Prove(entries, decision_index);
  bundle.set_decision("permit");

  Claims details = {{"type", "countersign_action"}};
  if (approved) details["approval"] = {{"reference", kReference}};
  const Claims ledger = {{"origin", ledger_key.verifier().name()},
                         {"index", decision_index}};
  grant_claims = Claims({{"iss", verifier::kIssuer},
                         {"aud", kAudience},
                         {"cnf", {{"jkt", session.binding.pop_jkt()}}},
                         {"sid", Hex(session.binding.session_id())},
                         {"jti", "grant-1"},
                         {"iat", kDecidedAtS},
                         {"exp", kDecidedAtS + 300},
                         {"authorization_details", Claims::array({details})},
                         {"evidence",
                          {{"device_id", ToHex(device.device_id)},
                           {"session_binding_digest", ToHex(binding_digest)},
                           {"action_digest", ToHex(action_digest)},
                           {"ledger", ledger}}}})
                     .dump();
  receipt_claims = Claims({{"iss", verifier::kIssuer},
                           {"aud", kAudience},
                           {"htm", "POST"},
                           {"htu", request.resource()},
                           {"request_sha256", Hex(request.request_sha256())},
                           {"action_digest", ToHex(action_digest)},
                           {"decision", "permit"},
                           {"jti", "receipt-1"},
                           {"ledger_index", decision_index},
                           {"iat", kDecidedAtS},
                           {"exp", kDecidedAtS + 60}})
                       .dump();
  bundle.set_grant(SignToken(jose::kTypGrant, grant_claims));
  bundle.set_receipt(SignToken(jose::kTypReceipt, receipt_claims));
  const auto session_key = jose::Es256PublicKey::FromCoordinates(
      session.session_key.area.x(), session.session_key.area.y());
  bundle.set_client_attestation(SignToken(
      jose::kTypClientAttestation,
      Claims({{"iss", verifier::kIssuer},
              {"cnf", {{"jwk", Claims::parse(session_key->ToJwkJson())}}}})
          .dump()));
  return bundle;
}

TrustFolder BundleMaker::Trust() const {
  TrustFolder trust;
  trust.service_keys.Add(service_key.public_key());
  trust.ledger_key = ledger_key.verifier();
  trust.ek_roots =
      verifier::EkTrust::FromDer(std::vector<Bytes>{manufacturer.root}, {})
          .value();
  trust.ek_root_count = 1;
  return trust;
}

void BundleMaker::WriteTrust(const std::string& folder) const {
  std::filesystem::create_directories(folder + "/ek-roots");
  std::ofstream(folder + "/service.jwks.json") << Trust().service_keys.ToJson();
  std::ofstream(folder + "/ledger.vkey")
      << ledger_key.verifier().ToVkey() << "\n";
  std::ofstream(folder + "/ek-roots/test.pem")
      << "-----BEGIN CERTIFICATE-----\n"
      << ToBase64(manufacturer.root) << "\n-----END CERTIFICATE-----\n";
}

}  // namespace countersign::agent
