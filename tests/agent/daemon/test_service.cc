#include "tests/agent/daemon/test_service.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "agent/ipc/messages.h"
#include "attest/base/digest.h"
#include "attest/jose/jws.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/merkle.h"
#include "attest/statement/statement.h"
#include "attest/tpm/attest.h"
#include "attest/tpm/make_credential.h"
#include "attest/tpm/signature.h"

namespace countersign::agent {
namespace {

using statement::StatementType;

std::string Random(size_t size) { return AsString(RandomBytes(size)); }

template <typename M>
M Parse(const std::string& bytes) {
  M message;
  if (!message.ParseFromString(bytes)) message.Clear();
  return message;
}

Sha256Digest DigestOf(const v1::Statement& statement, StatementType type) {
  return statement::StatementDigest(type, AsBytes(statement.body()));
}

}  // namespace

TestService::TestService()
    : key_(*jose::Es256Key::Generate()),
      other_key_(*jose::Es256Key::Generate()) {}

std::string TestService::token() const {
  return "cs1.c2VjcmV0LW9mLWEtdG9rZW4." + key_.kid();
}

std::string TestService::jwks() const {
  jose::KeySet keys;
  keys.Add(other_key_.public_key());
  keys.Add(key_.public_key());
  return keys.ToJson();
}

void TestService::Set(Mode mode, std::string path, int times) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
  mode_path_ = std::move(path);
  mode_left_ = times;
}

void TestService::SetRefusal(ErrorCode code, uint32_t retry_after_s) {
  const std::lock_guard lock(mutex_);
  refusal_ = code;
  retry_after_s_ = retry_after_s;
}

void TestService::Hold(std::string path) {
  const std::lock_guard lock(mutex_);
  held_path_ = std::move(path);
}

void TestService::Release() {
  {
    const std::lock_guard lock(mutex_);
    held_path_.clear();
    ++releases_;
  }
  released_.notify_all();
}

void TestService::EndSession(const std::string& session_id,
                             const std::string& why) {
  const std::lock_guard lock(mutex_);
  for (auto& [digest, session] : sessions_) {
    if (session.binding.session_id() != session_id) continue;
    session.ended = why;
    untold_.push_back(LeaseOf(session_id));
  }
  released_.notify_all();
}

void TestService::RevokeDevice() {
  const std::lock_guard lock(mutex_);
  revoked_ = true;
  released_.notify_all();
}

void TestService::PushEvents() {
  const std::lock_guard lock(mutex_);
  event_token_ = Random(32);
}

void TestService::ForgetBatches(size_t count) {
  const std::lock_guard lock(mutex_);
  while (count-- > 0 && !accepted_.empty()) {
    const Accepted& last = accepted_.back();
    Journal& journal = journals_[last.journal_id];
    journal.next_batch = last.batch.batch_sequence();
    journal.next_action = last.batch.first_action_sequence();
    journal.last_digest = last.batch.previous_batch_digest();
    accepted_.pop_back();
  }
  answers_.clear();
}

void TestService::set_lease_s(uint32_t lease_s) {
  const std::lock_guard lock(mutex_);
  lease_s_ = lease_s;
}

void TestService::set_clock_ahead_s(int64_t seconds) {
  const std::lock_guard lock(mutex_);
  ahead_s_ = seconds;
}

int64_t TestService::NowS() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count() +
         ahead_s_;
}

std::optional<v1::UplinkResponse> TestService::Handle(
    const v1::UplinkRequest& request) {
  std::unique_lock lock(mutex_);
  ++requests_[request.path()];
  released_.wait(lock, [&] {
    return held_path_.empty() || !request.path().starts_with(held_path_);
  });
  const bool fails = mode_left_ != 0 && mode_path_ == "/v1/events";
  if (request.path() == "/v1/events" && !fails) {
    // Not for ever: a test may have ended before this request came.
    released_.wait_for(
        lock, std::chrono::seconds(3), [this, before = releases_] {
          return !untold_.empty() || revoked_ || releases_ != before;
        });
  }
  Mode mode = Mode::kAnswer;
  if (mode_left_ != 0 && request.path().starts_with(mode_path_)) {
    mode = mode_;
    if (mode_left_ > 0) --mode_left_;
  }
  v1::UplinkResponse response;
  response.set_id(request.id());
  response.set_tls_exporter(std::string(32, 'e'));
  if (mode == Mode::kSilent) return std::nullopt;
  const bool keys = request.path() == "/v1/jwks";
  if (mode == Mode::kUnreachable || (keys && mode == Mode::kLoseAnswer)) {
    *response.mutable_error() =
        ToErrorInfo({ErrorCode::kServiceUnreachable, "refused"});
    return response;
  }
  if (mode == Mode::kHtml || mode == Mode::kGarbage) {
    response.set_http_status(200);
    response.set_body(mode == Mode::kHtml ? "<html>Log in</html>"
                                          : Random(500));
    return response;
  }
  if (keys) {
    response.set_http_status(200);
    response.set_body(jwks());
    return response;
  }
  if (mode == Mode::kRefuse) {
    return Sign(request, key_, Fail(refusal_, "as asked"), "", request.body());
  }
  std::string kind;
  const Result<std::string> payload = Answer(request, &kind);
  if (mode == Mode::kLoseAnswer) {
    *response.mutable_error() =
        ToErrorInfo({ErrorCode::kServiceUnreachable, "reset"});
    return response;
  }
  const bool forged = mode == Mode::kForged;
  return Sign(request, forged ? other_key_ : key_, payload, kind,
              mode == Mode::kReplayed ? "another request" : request.body());
}

v1::UplinkResponse TestService::Sign(const v1::UplinkRequest& request,
                                     const jose::Es256Key& key,
                                     const Result<std::string>& payload,
                                     const std::string& kind,
                                     const std::string& request_bytes) {
  std::string audience;
  if (device_.has_value() && !request.path().starts_with("/v1/enroll")) {
    audience = ToHex(AsBytes(device_->device_id()));
  }
  v1::UplinkResponse response;
  response.set_id(request.id());
  response.set_tls_exporter(std::string(32, 'e'));
  response.set_http_status(
      payload.has_value() ? 200 : HttpStatus(payload.error().code));
  std::string bytes;
  if (payload.has_value()) {
    bytes = *payload;
  } else {
    v1::ErrorInfo info = ToErrorInfo(payload.error());
    info.set_retry_after_s(retry_after_s_);
    response.set_retry_after_s(retry_after_s_);
    bytes = info.SerializeAsString();
  }
  const auto answer = jose::SignAnswer(
      key,
      {kIssuer, audience,
       payload.has_value() ? kind : std::string(jose::kKindError)},
      AsBytes(request_bytes), bytes, NowS());
  response.set_body(answer->SerializeAsString());
  return response;
}

Result<std::string> TestService::Answer(const v1::UplinkRequest& request,
                                        std::string* kind) {
  const std::string& path = request.path();
  if (request.service() != kIssuer) Complain("another service is asked");
  if (path == "/v1/enrollments") {
    *kind = jose::kKindEnrollment;
    return Enroll(request.body());
  }
  if (path ==
      "/v1/enrollments/" + ToHex(AsBytes(enrollment_id_)) + "/activation") {
    *kind = jose::kKindDeviceRecord;
    return Activate(request.body());
  }
  if (!device_.has_value()) return Fail(ErrorCode::kDeviceUnknown);
  if (revoked_) return Fail(ErrorCode::kDeviceRevoked);
  if (path == "/v1/challenges") {
    *kind = jose::kKindChallenge;
    return Challenge(request.body());
  }
  if (path == "/v1/sessions") {
    *kind = jose::kKindSession;
    return Bind(request.body());
  }
  if (path == "/v1/events") {
    *kind = jose::kKindEvents;
    return Events(request.body());
  }
  if (path == "/v1/actions") {
    *kind = jose::kKindDecisions;
    return Decide(request.body());
  }
  Complain("an unknown path: " + path);
  return Fail(ErrorCode::kNotFound);
}

Result<std::string> TestService::Enroll(const std::string& body) {
  const auto request = Parse<v1::EnrollmentRequest>(body);
  if (request.token() != token()) return Fail(ErrorCode::kTokenInvalid);
  // Spent on one AK; that one may come again.
  if (!tokens_spent_on_.empty() && tokens_spent_on_ != request.ak_public()) {
    return Fail(ErrorCode::kTokenUsed);
  }
  const auto& material = request.eks(static_cast<int>(request.certified_ek()));
  CS_ASSIGN_OR_RETURN(const auto ek,
                      tpm::PublicArea::Parse(AsBytes(material.public_area())));
  CS_ASSIGN_OR_RETURN(const auto ak,
                      tpm::PublicArea::Parse(AsBytes(request.ak_public())));
  secret_ = RandomBytes(32);
  CS_ASSIGN_OR_RETURN(const auto credential,
                      tpm::MakeCredential(ek, ak.name(), Secret(secret_)));
  enrollment_ = request;
  enrollment_id_ = Random(16);
  enrollment_nonce_ = Random(32);
  v1::EnrollmentAnswer answer;
  answer.set_enrollment_id(enrollment_id_);
  answer.set_nonce(enrollment_nonce_);
  answer.set_credential_blob(AsString(credential.id_object));
  answer.set_encrypted_secret(AsString(credential.encrypted_secret));
  answer.set_issuer(kIssuer);
  answer.set_tenant("test");
  answer.set_pcr_selection("sha256:0-7");
  return answer.SerializeAsString();
}

Result<std::string> TestService::Activate(const std::string& body) {
  const auto request = Parse<v1::ActivationRequest>(body);
  CS_ASSIGN_OR_RETURN(const auto ak,
                      tpm::PublicArea::Parse(AsBytes(enrollment_.ak_public())));
  const auto& material =
      enrollment_.eks(static_cast<int>(enrollment_.certified_ek()));
  CS_ASSIGN_OR_RETURN(const auto ek,
                      tpm::PublicArea::Parse(AsBytes(material.public_area())));
  const Bytes pae =
      statement::Pae(statement::TypeUri(StatementType::kEnrollment),
                     AsBytes(request.transcript().body()));
  const auto transcript = Parse<v1::Enrollment>(request.transcript().body());
  if (transcript.nonce() != enrollment_nonce_ ||
      !Equal(HmacSha256(secret_, pae), AsBytes(request.proof()))) {
    return Fail(ErrorCode::kCredentialActivationFailed);
  }
  ak_ = ak;
  CS_RETURN_IF_ERROR(CheckQuote(
      request.transcript(), request.quote(),
      DigestOf(request.transcript(), StatementType::kEnrollment), false));
  tokens_spent_on_ = enrollment_.ak_public();
  v1::DeviceRecord record;
  record.set_issuer(kIssuer);
  record.set_tenant("test");
  record.set_device_id(device_.has_value() ? device_->device_id() : Random(16));
  v1::EkRecord& ek_record = *record.add_eks();
  ek_record.set_public_area(material.public_area());
  ek_record.set_name(AsString(ek.name()));
  record.set_ak_public(enrollment_.ak_public());
  record.set_ak_name(AsString(ak.name()));
  record.set_qualified_signer(AsString(*tpm::QualifiedName(
      *tpm::QualifiedNameOfPrimary(tpm::kRhEndorsement, ek.name()),
      ak.name())));
  record.set_ek_class("virtual");
  record.set_ek_trust("first-use");
  record.set_pcr_selection("sha256:0-7");
  device_ = record;
  return record.SerializeAsString();
}

Status TestService::CheckQuote(const v1::Statement&, const v1::TpmQuote& quote,
                               const Sha256Digest& digest, bool in_order) {
  CS_RETURN_IF_ERROR(tpm::VerifySignature(*ak_, AsBytes(quote.attest()),
                                          AsBytes(quote.signature())));
  CS_ASSIGN_OR_RETURN(const auto attest,
                      tpm::ParseAttest(AsBytes(quote.attest())));
  if (!Equal(attest.extra_data, digest)) {
    return Fail(ErrorCode::kDigestMismatch);
  }
  if (!in_order) return {};
  const tpm::TpmClock& now = attest.clock;
  if (std::tie(now.reset_count, now.restart_count, now.clock_ms) <
      std::tie(last_clock_.reset_count, last_clock_.restart_count,
               last_clock_.clock_ms)) {
    Complain("quotes arrive out of order");
    return Fail(ErrorCode::kTpmClockRollback);
  }
  last_clock_ = now;
  return {};
}

Result<std::string> TestService::Challenge(const std::string& body) {
  const auto request = Parse<v1::ChallengeRequest>(body);
  v1::ChallengeAnswer answer;
  answer.set_nonce(Random(32));
  answer.set_ttl_s(request.purpose() == "epoch" ? 300 : 120);
  (request.purpose() == "epoch" ? epochs_ : nonces_).insert(answer.nonce());
  for (const std::string& id : request.session_ids()) {
    *answer.add_leases() = LeaseOf(id);
  }
  return answer.SerializeAsString();
}

v1::Lease TestService::LeaseOf(const std::string& session_id) {
  v1::Lease lease;
  lease.set_session_id(session_id);
  lease.set_ttl_s(lease_s_);
  for (const auto& [digest, session] : sessions_) {
    if (session.binding.session_id() == session_id) {
      lease.set_ended(session.ended);
    }
  }
  return lease;
}

Result<std::string> TestService::Bind(const std::string& body) {
  const auto evidence = Parse<v1::SessionEvidence>(body);
  CS_ASSIGN_OR_RETURN(const auto binding,
                      statement::ParseStatement<v1::SessionBinding>(
                          AsBytes(evidence.statement().body()),
                          statement::kMaxSessionBindingSize));
  const Sha256Digest digest =
      DigestOf(evidence.statement(), StatementType::kSessionBinding);
  if (nonces_.erase(binding.nonce()) == 0) {
    return Fail(ErrorCode::kNonceUnknown);
  }
  if (binding.tls_exporter() != std::string(32, 'e')) {
    return Fail(ErrorCode::kChannelBindingMismatch);
  }
  CS_RETURN_IF_ERROR(
      CheckQuote(evidence.statement(), evidence.quote(), digest, true));
  if (!Equal(Sha256(AsBytes(evidence.event_log())),
             AsBytes(binding.event_log_sha256()))) {
    return Fail(ErrorCode::kEventLogMismatch);
  }
  CS_ASSIGN_OR_RETURN(
      const auto session_key,
      jose::Es256PublicKey::FromCoordinates(AsBytes(evidence.pop_x()),
                                            AsBytes(evidence.pop_y())));
  if (session_key.thumbprint() != binding.pop_jkt()) {
    return Fail(ErrorCode::kSessionKeyMismatch);
  }
  sessions_[AsString(digest)] = {binding, ""};
  last_binding_ = AsString(digest);

  const nlohmann::json claims = {
      {"iss", kIssuer},
      {"sub", binding.workload().spiffe_id()},
      {"iat", NowS()},
      {"exp", NowS() + 3600},
      {"cnf", {{"jwk", nlohmann::json::parse(session_key.ToJwkJson())}}}};
  v1::SessionAnswer answer;
  answer.set_client_attestation(
      *jose::SignJws(key_, jose::kTypClientAttestation, claims.dump()));
  *answer.mutable_lease() = LeaseOf(binding.session_id());
  answer.set_epoch_nonce(Random(32));
  answer.set_epoch_ttl_s(300);
  epochs_.insert(answer.epoch_nonce());
  answer.set_expires_at_ms(NowS() * 1000 + binding.expires_at_ms() -
                           binding.issued_at_ms());
  answer.set_ledger_index(ledger_++);
  answer.set_event_token(event_token_);
  return answer.SerializeAsString();
}

Result<std::string> TestService::Events(const std::string& body) {
  const auto request = Parse<v1::EventsRequest>(body);
  if (request.event_token() != event_token_) {
    return Fail(ErrorCode::kNonceUnknown, "event token");
  }
  v1::EventsAnswer answer;
  for (const v1::Lease& lease : untold_) *answer.add_ended() = lease;
  untold_.clear();
  event_token_ = Random(32);
  answer.set_event_token(event_token_);
  answer.set_up_to_index(request.after_index() + 1);
  return answer.SerializeAsString();
}

Result<std::string> TestService::Decide(const std::string& body) {
  const auto evidence = Parse<v1::BatchEvidence>(body);
  const Sha256Digest digest =
      DigestOf(evidence.statement(), StatementType::kActionBatch);
  CS_ASSIGN_OR_RETURN(const auto batch,
                      statement::ParseStatement<v1::ActionBatch>(
                          AsBytes(evidence.statement().body()),
                          statement::kMaxActionBatchSize));
  if (const auto known = answers_.find(AsString(digest));
      known != answers_.end()) {
    return known->second;
  }
  CS_RETURN_IF_ERROR(CheckQuote(evidence.statement(), evidence.quote(), digest,
                                !evidence.late()));
  Journal& journal = journals_[batch.journal_id()];
  if (batch.batch_sequence() != journal.next_batch ||
      batch.first_action_sequence() != journal.next_action ||
      batch.previous_batch_digest() != journal.last_digest) {
    v1::BatchAnswer conflict;
    conflict.set_expected_batch_sequence(journal.next_batch);
    conflict.set_expected_action_sequence(journal.next_action);
    conflict.set_expected_previous_batch_digest(journal.last_digest);
    *conflict.mutable_error() = ToErrorInfo({ErrorCode::kSequenceConflict, {}});
    return conflict.SerializeAsString();
  }
  if (!epochs_.contains(batch.epoch_nonce())) {
    return Fail(ErrorCode::kNonceUnknown);
  }
  std::vector<Sha256Digest> leaves;
  Accepted accepted{batch.journal_id(), batch, {}, evidence.late()};
  for (const std::string& bytes : evidence.actions()) {
    leaves.push_back(
        statement::LeafHash(StatementType::kAction, AsBytes(bytes)));
    CS_ASSIGN_OR_RETURN(auto action,
                        statement::ParseStatement<v1::Action>(
                            AsBytes(bytes), statement::kMaxActionSize));
    if (action.sequence() !=
        batch.first_action_sequence() + accepted.actions.size()) {
      return Fail(ErrorCode::kLeafIndexMismatch);
    }
    accepted.actions.push_back(std::move(action));
  }
  if (!Equal(statement::MerkleRoot(leaves), AsBytes(batch.root())) ||
      leaves.size() != batch.tree_size()) {
    return Fail(ErrorCode::kTreeMismatch);
  }
  v1::BatchAnswer answer;
  std::set<std::string> ids;
  for (const v1::Action& action : accepted.actions) {
    *answer.add_decisions() = DecideOne(action, evidence.late(), ledger_++);
    const auto session = sessions_.find(action.session_binding_digest());
    if (session != sessions_.end()) {
      ids.insert(session->second.binding.session_id());
    }
  }
  for (const std::string& id : ids) *answer.add_leases() = LeaseOf(id);
  for (const uint32_t leaf : evidence.prove()) {
    answer.mutable_decisions(static_cast<int>(leaf))
        ->mutable_proof()
        ->set_checkpoint("test");
  }
  answer.set_epoch_nonce(Random(32));
  answer.set_epoch_ttl_s(300);
  epochs_.insert(answer.epoch_nonce());
  ++journal.next_batch;
  journal.next_action += batch.tree_size();
  journal.last_digest = AsString(digest);
  accepted_.push_back(std::move(accepted));
  return answers_[AsString(digest)] = answer.SerializeAsString();
}

// Which approval it takes to do "test:prompt…" or "test:webauthn…".
std::string GradeAskedFor(const std::string& name) {
  for (const char* grade : {"prompt", "webauthn"}) {
    if (name.starts_with(std::string("test:") + grade)) return grade;
  }
  return {};
}

v1::ActionDecision TestService::DecideOne(const v1::Action& action, bool late,
                                          uint64_t index) {
  v1::ActionDecision decision;
  decision.set_ledger_index(index);
  decision.set_decision("deny");
  const auto found = sessions_.find(action.session_binding_digest());
  const auto request = Parse<v1::ActionRequest>(action.action_request());
  ErrorCode reason = ErrorCode::kPolicyDenied;
  if (found == sessions_.end()) {
    reason = ErrorCode::kSessionUnknown;
  } else if (!found->second.ended.empty()) {
    reason = ErrorCode::kSessionEnded;
    Complain("an action of an ended session");
  } else if (!action.session_end().empty()) {
    found->second.ended = action.session_end();
  } else if (late) {
    reason = ErrorCode::kLateBatch;
  } else if (const std::string grade = GradeAskedFor(request.name());
             !grade.empty() && action.approval().grade() != grade) {
    decision.set_decision("approval_required");
    decision.set_approval_grade(grade);
    reason = ErrorCode::kApprovalRequired;
  } else if (!request.name().starts_with("test:deny")) {
    decision.set_decision("permit");
    decision.set_approval_grade(grade);
    decision.set_rule("test");
    if (!request.grant_audience().empty()) {
      decision.set_grant(Grant(request, found->second));
      decision.set_grant_jti("jti" + std::to_string(index));
    }
    return decision;
  }
  decision.set_reason(static_cast<uint32_t>(reason));
  return decision;
}

std::string TestService::Grant(const v1::ActionRequest& request,
                               const BoundSession& session) {
  const nlohmann::json claims = {
      {"iss", kIssuer},
      {"aud", request.grant_audience()},
      {"sid", ToHex(AsBytes(session.binding.session_id()))},
      {"cnf", {{"jkt", session.binding.pop_jkt()}}},
      {"iat", NowS()},
      {"exp", NowS() + 120}};
  return *jose::SignJws(key_, jose::kTypGrant, claims.dump());
}

std::vector<TestService::Accepted> TestService::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

std::vector<v1::Action> TestService::actions() const {
  std::vector<v1::Action> all;
  for (const Accepted& batch : accepted()) {
    all.insert(all.end(), batch.actions.begin(), batch.actions.end());
  }
  return all;
}

std::vector<std::string> TestService::session_ends() const {
  std::vector<std::string> ends;
  for (const v1::Action& action : actions()) {
    if (!action.session_end().empty()) ends.push_back(action.session_end());
  }
  return ends;
}

int TestService::requests(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = requests_.find(path);
  return found == requests_.end() ? 0 : found->second;
}

size_t TestService::sessions() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

v1::SessionBinding TestService::last_binding() const {
  const std::lock_guard lock(mutex_);
  return sessions_.at(last_binding_).binding;
}

std::vector<std::string> TestService::complaints() const {
  const std::lock_guard lock(mutex_);
  return complaints_;
}

}  // namespace countersign::agent
