#include "tests/attest/verifier/evidence.h"

#include "attest/jose/thumbprint.h"
#include "attest/statement/merkle.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

jose::Coordinate ToCoordinate(const Bytes& bytes) {
  jose::Coordinate coordinate;
  std::ranges::copy(bytes, coordinate.begin());
  return coordinate;
}

std::vector<Sha256Digest> LeafHashes(const std::vector<std::string>& actions) {
  std::vector<Sha256Digest> hashes;
  hashes.reserve(actions.size());
  for (const std::string& action : actions) {
    hashes.push_back(
        statement::LeafHash(StatementType::kAction, AsBytes(action)));
  }
  return hashes;
}

v1::Action SomeAction(uint64_t sequence) {
  v1::ActionRequest request;
  request.set_task_id("task-1");
  request.set_name("http:POST");
  request.set_resource("https://api.example/orders/" +
                       std::to_string(sequence));
  request.set_purpose("test");
  v1::Action action;
  action.set_action_request(AsString(statement::SerializeStatement(request)));
  action.set_session_binding_digest(RandomString(32));
  action.set_sequence(sequence);
  action.set_salt(RandomString(16));
  action.set_requested_at_ms(1'700'000'000'000);
  return action;
}

std::string Serialize(const google::protobuf::MessageLite& message) {
  return AsString(statement::SerializeStatement(message));
}

}  // namespace

std::string RandomString(size_t size) { return AsString(RandomBytes(size)); }

Device::Device(tpm::KeyType ak_type)
    : ek(fakes::NewEk(tpm::KeyType::kEccP256)), ak(fakes::NewAk(ak_type)) {}

KnownDevice Device::Known() const {
  return {.issuer = kIssuer,
          .tenant = kTenant,
          .device_id = device_id,
          .ak = ak.area,
          .qualified_signer = fakes::QualifiedSigner(ek, ak),
          .selection = tpm::PcrSelection::Default(),
          .out_of_service = std::nullopt};
}

std::vector<Sha256Digest> Device::PcrValues() const {
  const Bytes bytes = log.Encode();
  const tpm::PcrValues all = tpm::EventLog::Parse(bytes)->Replay();
  return {all.begin(), all.begin() + 8};
}

fakes::AttestFields Device::QuoteFields(const Sha256Digest& digest) const {
  Bytes values;
  for (const Sha256Digest& value : PcrValues()) {
    values.insert(values.end(), value.begin(), value.end());
  }
  fakes::AttestFields fields;
  fields.qualified_signer = fakes::QualifiedSigner(ek, ak);
  fields.extra_data = ToBytes(digest);
  fields.clock = clock;
  fields.pcr_digest = ToBytes(Sha256(values));
  return fields;
}

v1::TpmQuote Device::Quote(const fakes::AttestFields& fields) const {
  const tpm::Quote signed_quote = fakes::SignAttest(ak, fields);
  v1::TpmQuote quote;
  quote.set_attest(AsString(signed_quote.attest));
  quote.set_signature(AsString(signed_quote.signature));
  for (const Sha256Digest& value : PcrValues()) {
    quote.add_pcr_values(AsString(value));
  }
  return quote;
}

const Device& SharedDevice() {
  static const Device* device = new Device;
  return *device;
}

SessionParts::SessionParts(const Device& the_device, bool tpm_key)
    : device(the_device),
      session_key(fakes::NewSessionKey()),
      type(statement::TypeUri(StatementType::kSessionBinding)) {
  binding.set_issuer(kIssuer);
  binding.set_nonce(RandomString(32));
  binding.set_tenant(kTenant);
  binding.set_device_id(AsString(device.device_id));
  binding.set_ak_name(AsString(device.ak.area.name()));
  binding.set_session_id(RandomString(16));
  binding.mutable_user()->set_os_name("ada");
  binding.mutable_user()->set_os_id("1000");
  binding.mutable_workload()->set_executable_path("/usr/bin/agent");
  binding.set_purpose("test");
  binding.set_key_kind(tpm_key ? "tpm" : "memory");
  binding.set_pop_jkt(jose::EcThumbprint(ToCoordinate(session_key.area.x()),
                                         ToCoordinate(session_key.area.y())));
  if (tpm_key) binding.set_pop_key_name(AsString(session_key.area.name()));
  binding.set_tls_exporter(std::string(32, 'x'));
  binding.set_event_log_sha256(AsString(Sha256(device.log.Encode())));
  binding.set_issued_at_ms(1'700'000'000'000);
  binding.set_expires_at_ms(1'700'000'900'000);
}

v1::SessionEvidence SessionParts::Build() const {
  v1::SessionEvidence evidence;
  evidence.mutable_statement()->set_type(type);
  evidence.mutable_statement()->set_body(Serialize(binding));
  const Sha256Digest digest = statement::StatementDigest(
      StatementType::kSessionBinding, AsBytes(evidence.statement().body()));
  fakes::AttestFields fields = device.QuoteFields(digest);
  change_quote(fields);
  *evidence.mutable_quote() = device.Quote(fields);
  evidence.set_event_log(AsString(device.log.Encode()));
  evidence.set_pop_x(AsString(session_key.area.x()));
  evidence.set_pop_y(AsString(session_key.area.y()));
  if (binding.key_kind() != "tpm") return evidence;

  fakes::AttestFields certify = device.QuoteFields(digest);
  certify.type = tpm::kStAttestCertify;
  certify.name = session_key.area.name();
  certify.qualified_name =
      tpm::QualifiedNameOfPrimary(tpm::kRhNull, session_key.area.name())
          .value();
  change_certify(certify);
  const tpm::Quote certification = fakes::SignAttest(device.ak, certify);
  evidence.set_session_key_public(AsString(session_key.area.bytes()));
  evidence.set_certify_attest(AsString(certification.attest));
  evidence.set_certify_signature(AsString(certification.signature));
  return evidence;
}

BatchParts::BatchParts(const Device& the_device, uint32_t size)
    : device(the_device) {
  batch.set_issuer(kIssuer);
  batch.set_device_id(AsString(device.device_id));
  batch.set_ak_name(AsString(device.ak.area.name()));
  batch.set_journal_id(RandomString(16));
  batch.set_epoch_nonce(RandomString(32));
  batch.set_batch_sequence(4);
  batch.set_first_action_sequence(100);
  batch.set_previous_batch_digest(RandomString(32));
  for (uint32_t i = 0; i < size; ++i) {
    actions.push_back(Serialize(SomeAction(100 + i)));
  }
}

void BatchParts::Change(uint32_t index,
                        const std::function<void(v1::Action&)>& change) {
  v1::Action action;
  action.ParseFromString(actions[index]);
  change(action);
  actions[index] = Serialize(action);
}

v1::BatchEvidence BatchParts::Build() const {
  v1::ActionBatch statement = batch;
  if (statement.root().empty()) {
    statement.set_root(AsString(statement::MerkleRoot(LeafHashes(actions))));
  }
  if (statement.tree_size() == 0) {
    statement.set_tree_size(static_cast<uint32_t>(actions.size()));
  }
  v1::BatchEvidence evidence;
  evidence.mutable_statement()->set_type(
      std::string(statement::TypeUri(StatementType::kActionBatch)));
  evidence.mutable_statement()->set_body(Serialize(statement));
  *evidence.mutable_quote() = device.Quote(statement::StatementDigest(
      StatementType::kActionBatch, AsBytes(evidence.statement().body())));
  for (const std::string& action : actions) evidence.add_actions(action);
  return evidence;
}

v1::ActionProof BatchParts::Prove(uint32_t index) const {
  const v1::BatchEvidence evidence = Build();
  v1::ActionProof proof;
  proof.set_action(actions[index]);
  proof.set_leaf_index(index);
  for (const Sha256Digest& hash :
       statement::InclusionPath(LeafHashes(actions), index)) {
    proof.add_path(AsString(hash));
  }
  *proof.mutable_batch() = evidence.statement();
  *proof.mutable_quote() = evidence.quote();
  return proof;
}

}  // namespace countersign::verifier
