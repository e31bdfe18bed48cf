#include "tests/attest/authz/service_rig.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <fstream>

#include "attest/authz/bind_session.h"
#include "attest/authz/challenge_store.h"
#include "attest/authz/policy_record.h"
#include "attest/authz/tokens.h"
#include "attest/statement/merkle.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

std::string Serialize(const google::protobuf::MessageLite& message) {
  return AsString(statement::SerializeStatement(message));
}

void WriteFile(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
  std::filesystem::permissions(path, std::filesystem::perms(0644));
}

std::string CertificatePem(const Bytes& der) {
  std::string text = ToBase64(der);
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (size_t i = 0; i < text.size(); i += 64) {
    pem += text.substr(i, 64) + "\n";
  }
  return pem + "-----END CERTIFICATE-----\n";
}

// Must hold: the rig is broken otherwise, not what is tested.
template <typename T>
T Must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "rig: %s: %s\n",
                 std::string(Name(result.error().code)).c_str(),
                 result.error().detail.c_str());
    std::abort();
  }
  return *std::move(result);
}
void Must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "rig: %s: %s\n",
               std::string(Name(status.error().code)).c_str(),
               status.error().detail.c_str());
  std::abort();
}

class StoredEntries final : public ledger::EntryReader {
 public:
  explicit StoredEntries(StoreView& view) : view_(view) {}
  Result<std::optional<Bytes>> ReadEntry(uint64_t index) override {
    CS_ASSIGN_OR_RETURN(const auto entries, view_.LedgerEntries(index, 1));
    if (entries.empty()) return std::optional<Bytes>();
    return std::optional<Bytes>(statement::Pae(
        statement::TypeUri(StatementType::kLedgerEntry), entries.front()));
  }

 private:
  StoreView& view_;
};

}  // namespace

TempFolder::TempFolder() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "authz-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ServiceRig::ServiceRig(const RigOptions& options)
    : service_key(Must(jose::Es256Key::Generate())),
      ledger_key(Must(ledger::LedgerKey::Generate("authz.example/log"))),
      epochs(Secret(RandomBytes(32)), 300),
      event_tokens(Secret(RandomBytes(32)), kEventTokenTtlS) {
  config.issuer = verifier::kIssuer;
  config.tenant = verifier::kTenant;
  config.database = folder.Path("ledger.db");
  config.head_file = folder.Path("ledger.head");
  config.policy = folder.Path("policy.toml");
  config.ledger_origin = "authz.example/log";
  config.enrollment.ek_policy = options.ek_policy;
  config.enrollment.ek_roots = folder.Path("ek-roots");
  config.enrollment.ek_allowlist = folder.Path("ek-allowlist.txt");
  config.sessions.require_channel_binding = options.require_channel_binding;
  std::filesystem::create_directory(config.enrollment.ek_roots);
  std::filesystem::permissions(config.enrollment.ek_roots,
                               std::filesystem::perms(0755));
  for (const auto& [name, der] : options.ek_roots) {
    WriteFile(config.enrollment.ek_roots + "/" + name, CertificatePem(der));
  }
  if (!options.allow_list.empty()) {
    WriteFile(config.enrollment.ek_allowlist, options.allow_list);
  }
  store = Must(SqliteStore::Open(config.database, SqliteStore::Mode::kCreate));
  ledger = std::make_unique<LedgerWriter>(*store, ledger_key, config.head_file,
                                          clock);
  v1::LedgerEntry first;
  first.set_kind(v1::ENTRY_KIND_ADMIN);
  Must(store->Write([&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(ledger->Append(transaction, {&first, 1}));
    return {};
  }));
  Must(ledger->PublishFirst());
  SetRules(options.rules);
  issuer = std::make_unique<GrantIssuer>(service_key, config.issuer,
                                         config.ledger_origin);
  service.reset(new Service{config, *store, *ledger, *policy, epochs,
                            event_tokens, *issuer, service_key, clock});
  admission =
      std::make_unique<EkAdmission>(Must(EkAdmission::Load(config.enrollment)));
  findings = std::make_unique<Findings>(*store, *ledger, clock);
  enroller = std::make_unique<Enroller>(*service, *findings);
  authorizer = std::make_unique<Authorizer>(*service, *findings);
}

void ServiceRig::SetRules(const std::string& rules) {
  WriteFile(config.policy, rules);
  const auto record = [this](const Policy& accepted) {
    return RecordPolicy(*store, *ledger, accepted);
  };
  if (policy == nullptr) {
    policy = Must(PolicyHolder::Load(config.policy));
    Must(record(*policy->Get()));
  } else {
    Must(policy->Reload(record));
  }
}

std::string ServiceRig::NewToken(int64_t uses, int64_t ttl_s) {
  const auto token = MintEnrollmentToken(service_key.public_key().thumbprint(),
                                         uses, clock.NowMs(), ttl_s);
  Must(store->Write([&](StoreTransaction& transaction) {
    return transaction.PutToken(token.row);
  }));
  return token.text;
}

std::string ServiceRig::NewAdminToken(int64_t ttl_s) {
  const auto token = MintAdminToken(clock.NowMs(), ttl_s);
  Must(store->Write([&](StoreTransaction& transaction) {
    return transaction.PutToken(token.row);
  }));
  return token.text;
}

std::vector<v1::LedgerEntry> ServiceRig::Ledger() {
  std::vector<v1::LedgerEntry> entries;
  Must(store->Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto newest, view.NewestCheckpoint());
    StoredEntries reader(view);
    const StoredTiles tiles(view);
    CS_ASSIGN_OR_RETURN(
        const auto audit,
        ledger::VerifyLedger(
            reader, tiles, ledger_key.verifier(),
            {.checkpoints = {newest->note}, .kept_head = std::nullopt}));
    EXPECT_FALSE(audit.finding.has_value());
    CS_ASSIGN_OR_RETURN(const auto head, view.LedgerHead());
    EXPECT_EQ(head.size, newest->size) << "an entry without a checkpoint";
    CS_ASSIGN_OR_RETURN(const auto bytes, view.LedgerEntries(0, head.size));
    for (const Bytes& entry : bytes) {
      entries.emplace_back().ParseFromString(AsString(entry));
    }
    return {};
  }));
  return entries;
}

Laptop::Laptop(ServiceRig& the_rig) : rig(the_rig) {}

v1::EnrollmentRequest Laptop::EnrollmentRequestWith(
    const std::string& token) const {
  v1::EnrollmentRequest request;
  request.add_eks()->set_public_area(AsString(device.ek.area.bytes()));
  request.set_ak_public(AsString(device.ak.area.bytes()));
  request.mutable_host()->set_hostname("laptop");
  request.set_token(token);
  request.set_request_nonce(verifier::RandomString(16));
  return request;
}

v1::ActivationRequest Laptop::ActivationFor(const v1::EnrollmentAnswer& answer,
                                            const std::string& token) const {
  v1::Enrollment transcript;
  transcript.set_issuer(answer.issuer());
  transcript.set_tenant(answer.tenant());
  transcript.set_enrollment_id(answer.enrollment_id());
  transcript.set_nonce(answer.nonce());
  transcript.add_ek_sha256(AsString(Sha256(device.ek.area.bytes())));
  transcript.set_ak_name(AsString(device.ak.area.name()));
  transcript.set_token_sha256(AsString(Sha256(AsBytes(token))));
  v1::ActivationRequest request;
  v1::Statement& statement = *request.mutable_transcript();
  statement.set_type(
      std::string(statement::TypeUri(StatementType::kEnrollment)));
  statement.set_body(Serialize(transcript));
  const auto secret =
      fakes::ActivateCredential(device.ek, device.ak.area.name(),
                                {ToBytes(AsBytes(answer.credential_blob())),
                                 ToBytes(AsBytes(answer.encrypted_secret()))});
  if (!secret) std::abort();
  request.set_proof(AsString(
      HmacSha256(secret->Expose(),
                 statement::Pae(statement.type(), AsBytes(statement.body())))));
  *request.mutable_quote() = device.Quote(statement::StatementDigest(
      StatementType::kEnrollment, AsBytes(statement.body())));
  return request;
}

void Laptop::Enroll() {
  const std::string token = rig.NewToken();
  const auto answer =
      Must(rig.enroller->Begin(EnrollmentRequestWith(token), *rig.admission));
  v1::DeviceRecord record;
  record.ParseFromString(Must(
      rig.enroller->Activate(AsBytes(answer.enrollment_id()),
                             ActivationFor(answer, token), *rig.admission)));
  device.device_id = ToBytes(AsBytes(record.device_id()));
}

verifier::SessionParts Laptop::NewSession() const {
  v1::ChallengeRequest request;
  request.set_purpose("session");
  request.set_device_id(AsString(device.device_id));
  request.set_request_nonce(verifier::RandomString(16));
  const auto challenge =
      Must(IssueChallenge(*rig.service, request, kConnection));
  verifier::SessionParts parts(device);
  parts.binding.set_nonce(challenge.nonce());
  parts.binding.set_device_id(AsString(device.device_id));
  v1::User& user = *parts.binding.mutable_user();
  user.set_verification("os-login");
  const auto observe = [](auto& message, const char* name, const char* how) {
    v1::Observation& observation = *message.add_observations();
    observation.set_name(name);
    observation.set_how(how);
    observation.set_grade(v1::GRADE_KERNEL);
  };
  observe(user, "os_id", "SO_PEERCRED");
  v1::Workload& workload = *parts.binding.mutable_workload();
  workload.set_executable_sha256(verifier::RandomString(32));
  observe(workload, "executable_path", "/proc/PID/exe");
  observe(workload, "executable_sha256", "/proc/PID/exe");
  return parts;
}

Result<v1::SessionAnswer> Laptop::Send(const v1::SessionEvidence& evidence) {
  return BindSession(*rig.service, *rig.findings, evidence, kConnection);
}

LaptopSession Laptop::OpenSession() {
  const verifier::SessionParts parts = NewSession();
  const v1::SessionEvidence evidence = parts.Build();
  LaptopSession session{
      .binding = parts.binding,
      .digest = statement::StatementDigest(
          StatementType::kSessionBinding, AsBytes(evidence.statement().body())),
      .answer = Must(Send(evidence))};
  epoch_nonce = ToBytes(AsBytes(session.answer.epoch_nonce()));
  return session;
}

v1::Action Laptop::NewAction(const LaptopSession& session,
                             const std::string& name,
                             const std::string& audience) {
  v1::ActionRequest request;
  request.set_task_id("task-1");
  request.set_name(name);
  request.set_resource("https://api.example/orders/1");
  request.set_purpose("test");
  request.set_request_sha256(AsString(Sha256(AsBytes("body"))));
  request.set_grant_audience(audience);
  v1::Action action;
  action.set_action_request(Serialize(request));
  action.set_session_binding_digest(AsString(session.digest));
  action.set_salt(verifier::RandomString(16));
  action.set_requested_at_ms(rig.clock.NowMs());
  return action;
}

v1::BatchEvidence Laptop::NewBatch(std::vector<v1::Action> actions) {
  std::vector<std::string> bytes;
  for (v1::Action& action : actions) {
    action.set_sequence(next_action + bytes.size());
    bytes.push_back(Serialize(action));
  }
  return BatchOfBytes(bytes);
}

v1::BatchEvidence Laptop::BatchOfBytes(
    const std::vector<std::string>& actions) {
  verifier::BatchParts parts(device, 0);
  parts.batch.set_journal_id(AsString(journal_id));
  parts.batch.set_epoch_nonce(AsString(epoch_nonce));
  parts.batch.set_batch_sequence(next_batch);
  parts.batch.set_first_action_sequence(next_action);
  parts.batch.set_previous_batch_digest(AsString(last_batch));
  parts.actions = actions;
  ++device.clock.clock_ms;
  return parts.Build();
}

Result<BatchOutcome> Laptop::Send(const v1::BatchEvidence& batch) {
  auto outcome = rig.authorizer->Authorize(batch);
  if (!outcome || outcome->refused) return outcome;
  epoch_nonce = ToBytes(AsBytes(outcome->answer.epoch_nonce()));
  ++next_batch;
  next_action += static_cast<uint64_t>(batch.actions_size());
  last_batch = statement::StatementDigest(StatementType::kActionBatch,
                                          AsBytes(batch.statement().body()));
  return outcome;
}

std::vector<v1::ActionDecision> Laptop::Decide(const v1::BatchEvidence& batch) {
  const BatchOutcome outcome = Must(Send(batch));
  if (outcome.refused) Must(Status(tl::unexpected<Error>(*outcome.refused)));
  return {outcome.answer.decisions().begin(), outcome.answer.decisions().end()};
}

v1::ActionDecision Laptop::Authorize(const LaptopSession& session,
                                     const std::string& name) {
  return Decide(NewBatch({NewAction(session, name)})).front();
}

}  // namespace countersign::authz
