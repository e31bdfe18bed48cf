#include "agent/daemon/session_evidence.h"

#include <nlohmann/json.hpp>

#include "attest/base/digest.h"
#include "attest/jose/jws.h"
#include "attest/statement/statement.h"

namespace countersign::agent {
namespace {

using statement::StatementType;

}  // namespace

Bytes BuildSessionBinding(const Device& device, const Session& session,
                          const BindingInputs& inputs) {
  v1::SessionBinding binding;
  binding.set_issuer(device.service.issuer);
  binding.set_nonce(inputs.nonce);
  binding.set_tenant(device.record.tenant());
  binding.set_device_id(device.record.device_id());
  binding.set_ak_name(device.record.ak_name());
  binding.set_session_id(session.id);
  *binding.mutable_user() = session.user;
  *binding.mutable_workload() = session.workload;
  binding.set_purpose(session.purpose);
  binding.set_key_kind(session.key->kind());
  binding.set_pop_jkt(session.key->public_key().thumbprint());
  if (const auto& key = session.key->tpm_key()) {
    binding.set_pop_key_name(AsString(key->public_area.name()));
  }
  binding.set_tls_exporter(inputs.tls_exporter);
  binding.set_event_log_sha256(AsString(Sha256(inputs.event_log)));
  binding.set_issued_at_ms(inputs.issued_at_ms);
  binding.set_expires_at_ms(inputs.issued_at_ms +
                            int64_t{inputs.lifetime_s} * 1000);
  return statement::SerializeStatement(binding);
}

v1::SessionEvidence BeginSessionEvidence(const Session& session,
                                         ByteSpan binding,
                                         const Bytes& event_log) {
  v1::SessionEvidence evidence;
  v1::Statement& statement = *evidence.mutable_statement();
  statement.set_type(
      std::string(statement::TypeUri(StatementType::kSessionBinding)));
  statement.set_body(AsString(binding));
  evidence.set_event_log(AsString(event_log));
  evidence.set_pop_x(AsString(session.key->public_key().x()));
  evidence.set_pop_y(AsString(session.key->public_key().y()));
  if (const auto& key = session.key->tpm_key()) {
    evidence.set_session_key_public(AsString(key->public_area.bytes()));
  }
  return evidence;
}

Status CheckClientAttestation(const Device& device, const Session& session,
                              const std::string& attestation) {
  const auto jws = jose::VerifyJws(attestation, jose::kTypClientAttestation,
                                   *device.service.keys);
  if (!jws.has_value()) {
    return Fail(ErrorCode::kAnswerInvalid,
                "the client attestation: " + jws.error().detail);
  }
  const auto claims = nlohmann::json::parse(jws->claims_json, nullptr, false);
  const auto iss = claims.value("/iss"_json_pointer, nlohmann::json());
  const auto jwk = claims.value("/cnf/jwk"_json_pointer, nlohmann::json());
  const auto key = jose::Es256PublicKey::FromJwkJson(jwk.dump());
  if (iss != device.service.issuer || !key.has_value() ||
      key->thumbprint() != session.key->public_key().thumbprint()) {
    return Fail(ErrorCode::kAnswerInvalid,
                "the client attestation is for another key or issuer");
  }
  return {};
}

}  // namespace countersign::agent
