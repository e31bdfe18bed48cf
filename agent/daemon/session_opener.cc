#include "agent/daemon/session_opener.h"

#include <utility>

#include "agent/daemon/session_evidence.h"
#include "agent/daemon/workload.h"
#include "attest/base/digest.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/limits.h"
#include "attest/statement/statement.h"
#include "attest/tpm/event_log.h"
#include "platform/login_session.h"
#include "platform/trusted_file.h"

namespace countersign::agent {
namespace {

struct Looked {
  platform::LoginSession login;
  Sha256Digest executable_sha256{};
  bool path_leads_to_it = false;
  std::string package;
  Bytes event_log;
};

struct Signed {
  ClockedQuote quote;
  tpm::Quote certification;  // Of a key in the TPM.
};

// The package that the program came with. Empty where more than root could have
// put another file in its place: then its path shows nothing.
std::string PackageOf(platform::PackageFinder& packages,
                      const platform::ExecutableFile& file) {
  if (!OnlyRootMayChange(file)) return {};
  const auto package = packages.Find(file.path);
  return package.has_value() ? package->name + " " + package->version : "";
}

// Everything that blocks; on the file thread.
Result<Looked> LookClosely(platform::ExecutableHasher& hasher,
                           platform::PackageFinder& packages,
                           const platform::OwnedHandle& executable,
                           const platform::PeerIdentity& identity,
                           const std::string& event_log) {
  Looked looked;
  CS_ASSIGN_OR_RETURN(looked.executable_sha256, hasher.Hash(executable));
  CS_ASSIGN_OR_RETURN(looked.login,
                      platform::FindLoginSession(identity.pid, identity.uid));
  looked.path_leads_to_it = platform::PathLeadsTo(identity.executable);
  if (looked.path_leads_to_it) {
    looked.package = PackageOf(packages, identity.executable);
  }
  auto log = platform::ReadWholeFile(event_log, tpm::kMaxEventLogSize);
  if (log.has_value()) {
    looked.event_log = *std::move(log);
  } else if (log.error().code != ErrorCode::kNotFound) {
    return tl::unexpected(std::move(log).error());
  }
  return looked;
}

// The challenge went stale or the connection changed under way: worth another
// round, once.
bool WorthAnotherRound(const ServiceFailure& failure) {
  switch (failure.error.code) {
    case ErrorCode::kNonceUnknown:
    case ErrorCode::kNonceExpired:
    case ErrorCode::kChannelBindingMismatch:
      return failure.refused;
    default:
      return false;
  }
}

}  // namespace

// One opening, step by step. Keeps itself alive until it is done.
class SessionOpener::Attempt
    : public std::enable_shared_from_this<SessionOpener::Attempt> {
 public:
  Attempt(SessionOpener& opener, SessionPtr session, Done done)
      : opener_(opener), session_(std::move(session)), done_(std::move(done)) {}

  void ArmTimeout() {
    timer_ = parts().loop.RunAfter(
        std::chrono::milliseconds(opener_.settings_.open_timeout_ms),
        [self = shared_from_this()] {
          self->timer_ = 0;
          self->Finish(Fail(ErrorCode::kTimeout,
                            "the session could not be opened in time"));
        });
  }

  void Start() {
    running_ = true;
    device_ = opener_.device_;
    if (device_ == nullptr) {
      Finish(Fail(ErrorCode::kNotEnrolled));
      return;
    }
    Look();
  }

  [[nodiscard]] bool finished() const { return !done_; }
  [[nodiscard]] uint32_t uid() const { return session_->uid; }

 private:
  [[nodiscard]] const Parts& parts() const { return opener_.parts_; }

  // Wraps a step so that it does not run once the attempt is over. A step that
  // fails ends it.
  template <typename T, typename Step>
  auto Then(Step step) {
    return [self = shared_from_this(), step](Result<T> result) {
      if (self->Over()) return;
      if (!result.has_value()) {
        self->Finish(tl::unexpected(std::move(result).error()));
        return;
      }
      (self.get()->*step)(*std::move(result));
    };
  }

  // Over, or the session was ended meanwhile.
  [[nodiscard]] bool Over() {
    if (finished()) return true;
    if (session_->state == SessionState::kOpening) return false;
    Finish(Fail(ErrorCode::kSessionEnded,
                "it ended with: " + session_->end_reason));
    return true;
  }

  void Look() {
    const platform::PinnedPeer& owner = *session_->owner;
    auto identity = owner.Describe();
    auto executable = owner.OpenExecutable();
    if (!identity.has_value() || !executable.has_value()) {
      Finish(tl::unexpected(!identity.has_value()
                                ? std::move(identity).error()
                                : std::move(executable).error()));
      return;
    }
    process_.identity = *std::move(identity);
    process_.owner_is = session_->owner_is;
    process_.origin = session_->origin;
    process_.relay_origin = session_->relay_origin;
    parts().files.Submit(
        Worker::Urgency::kNormal,
        [&hasher = parts().hasher, &packages = parts().packages,
         identity = process_.identity,
         executable =
             std::make_shared<platform::OwnedHandle>(*std::move(executable)),
         event_log = opener_.settings_.event_log] {
          return LookClosely(hasher, packages, *executable, identity,
                             event_log);
        },
        Then<Looked>(&Attempt::OnLooked));
  }

  void OnLooked(Looked looked) {
    process_.login = std::move(looked.login);
    process_.executable_sha256 = looked.executable_sha256;
    process_.path_leads_to_it = looked.path_leads_to_it;
    process_.package = std::move(looked.package);
    inputs_.event_log = std::move(looked.event_log);
    session_->user = DescribeUser(process_);
    if (const state::UserLogin* login = parts().logins.Of(session_->uid)) {
      DescribeLogin(*login, session_->user);
      session_->login = Logins::Info(*login);
    }
    session_->workload = DescribeWorkload(process_, device_->service.issuer,
                                          device_->record.device_id());
    MakeKey();
  }

  void MakeKey() {
    if (!opener_.settings_.tpm_key) {
      OnKey(SessionKey::InMemory());
      return;
    }
    parts().tpm.Submit(
        TpmQueue::Urgency::kUrgent,
        [](platform::Tpm& tpm) { return tpm.CreateSessionKey(); },
        [self = shared_from_this()](Result<platform::SessionKey> key) {
          if (!key.has_value()) {
            self->OnKey(tl::unexpected(std::move(key).error()));
          } else {
            // Taken over even if nobody wants it any more: it is destroyed.
            self->OnKey(SessionKey::InTpm(self->parts().tpm, *key));
          }
        });
  }

  void OnKey(Result<std::shared_ptr<SessionKey>> key) {
    if (Over()) return;
    if (!key.has_value()) {
      Finish(tl::unexpected(std::move(key).error()));
      return;
    }
    session_->key = *std::move(key);
    AskChallenge();
  }

  void AskChallenge() {
    v1::ChallengeRequest request;
    request.set_purpose("session");
    request.set_device_id(device_->record.device_id());
    request.set_request_nonce(AsString(RandomBytes(16)));
    parts().service.Post(device_->service, ServiceLink::kControl,
                         "/v1/challenges", request.SerializeAsString(),
                         jose::kKindChallenge,
                         opener_.settings_.open_timeout_ms,
                         [self = shared_from_this()](ServiceResult result) {
                           self->OnChallenge(std::move(result));
                         });
  }

  void OnChallenge(ServiceResult result) {
    if (Over()) return;
    if (!result.has_value()) {
      Finish(tl::unexpected(std::move(result).error().error));
      return;
    }
    v1::ChallengeAnswer answer;
    if (!answer.ParseFromString(result->payload) ||
        answer.nonce().size() != 32) {
      Finish(Fail(ErrorCode::kAnswerInvalid, "a challenge without a nonce"));
      return;
    }
    inputs_.nonce = answer.nonce();
    inputs_.tls_exporter = std::move(result->tls_exporter);
    Quote();
  }

  void Quote() {
    inputs_.issued_at_ms = parts().clock.NowMs();
    inputs_.lifetime_s = session_->lifetime_s != 0
                             ? session_->lifetime_s
                             : opener_.settings_.lifetime_s;
    const Bytes binding = BuildSessionBinding(*device_, *session_, inputs_);
    const Sha256Digest digest = statement::StatementDigest(
        statement::StatementType::kSessionBinding, binding);
    session_->binding_digest = digest;
    evidence_ = BeginSessionEvidence(*session_, binding, inputs_.event_log);
    parts().tpm.Submit(
        TpmQueue::Urgency::kUrgent,
        [digest, selection = device_->selection,
         key = session_->key->tpm_key()](platform::Tpm& tpm) -> Result<Signed> {
          Signed made;
          CS_ASSIGN_OR_RETURN(made.quote,
                              QuoteStatement(tpm, digest, selection));
          if (key.has_value()) {
            CS_ASSIGN_OR_RETURN(made.certification,
                                tpm.CertifySessionKey(key->id, digest));
          }
          return made;
        },
        Then<Signed>(&Attempt::OnQuoted));
  }

  void OnQuoted(Signed made) {
    place_ = parts().order.Take();
    parts().sessions.OnTpmClock(made.quote.clock);
    if (Over()) return;
    session_->boot = made.quote.clock;
    *evidence_.mutable_quote() = std::move(made.quote.quote);
    if (!made.certification.attest.empty()) {
      evidence_.set_certify_attest(AsString(made.certification.attest));
      evidence_.set_certify_signature(AsString(made.certification.signature));
    }
    if (evidence_.ByteSizeLong() > statement::kMaxSessionEvidenceSize) {
      Finish(Fail(ErrorCode::kTooLarge, "the boot event log is too long"));
      return;
    }
    record_.set_session_id(session_->id);
    record_.set_binding_digest(AsString(session_->binding_digest));
    *record_.mutable_evidence() = evidence_;
    parts().disk.Submit(
        Worker::Urgency::kNormal,
        [&journal = parts().journal, record = record_] {
          return journal.PutSession(record);
        },
        [self = shared_from_this()](const Status& stored) {
          self->OnStored(stored);
        });
  }

  // From here on the service may know of the session, and whatever happens
  // its end is told.
  void OnStored(const Status& stored) {
    if (!stored.has_value()) {
      Finish(tl::unexpected(stored.error()));
      return;
    }
    if (Over()) {
      DropRecord();
      return;
    }
    place_->WhenFirst([self = shared_from_this()] { self->Send(); });
  }

  void Send() {
    if (Over()) {
      DropRecord();
      return;
    }
    session_->at_service = true;
    const int64_t asked_ms = parts().clock.MonotonicMs();
    parts().service.Post(
        device_->service, ServiceLink::kControl, "/v1/sessions",
        evidence_.SerializeAsString(), jose::kKindSession,
        opener_.settings_.open_timeout_ms,
        [self = shared_from_this(), asked_ms](ServiceResult result) {
          self->OnAnswer(std::move(result), asked_ms);
        });
  }

  void OnAnswer(ServiceResult result, int64_t asked_ms) {
    place_.reset();
    if (Over()) return;
    if (!result.has_value()) {
      const ServiceFailure& failure = result.error();
      if (failure.refused) {
        session_->at_service = false;
        DropRecord();
      }
      if (failure.refused && failure.error.code == ErrorCode::kLoginEnded) {
        parts().logins.Drop(session_->uid, session_->user.user_session_id());
      }
      if (WorthAnotherRound(failure) && !std::exchange(second_round_, true)) {
        AskChallenge();
        return;
      }
      Finish(tl::unexpected(failure.error));
      return;
    }
    v1::SessionAnswer answer;
    if (!answer.ParseFromString(result->payload)) {
      Finish(Fail(ErrorCode::kAnswerInvalid, "the answer cannot be read"));
      return;
    }
    const Status attested = CheckClientAttestation(*device_, *session_,
                                                   answer.client_attestation());
    if (!attested.has_value()) {
      Finish(tl::unexpected(attested.error()));
      return;
    }
    Succeed(answer, result->issued_at_s, asked_ms);
  }

  void Succeed(const v1::SessionAnswer& answer, int64_t service_now_s,
               int64_t asked_ms) {
    session_->ledger_index = answer.ledger_index();
    parts().freshness.OnNonce(answer.epoch_nonce(), answer.epoch_ttl_s(),
                              asked_ms);
    session_->client_attestation = answer.client_attestation();
    record_.set_client_attestation(answer.client_attestation());
    if (answer.has_proof()) *record_.mutable_proof() = answer.proof();
    parts().disk.Submit(
        Worker::Urgency::kNormal,
        [&journal = parts().journal, record = std::move(record_)] {
          return journal.PutSession(record);
        },
        [](const Status&) {});
    // Both ends of the lifetime are by the service's clock, so that the
    // laptop's may be wrong.
    const int64_t granted_ms = answer.expires_at_ms() - service_now_s * 1000;
    const int64_t asked_for_ms = int64_t{inputs_.lifetime_s} * 1000;
    const SessionPtr session = session_;
    parts().sessions.Open(
        session, std::max<int64_t>(0, std::min(granted_ms, asked_for_ms)));
    parts().sessions.OnLease(answer.lease(), asked_ms);
    parts().events.OnSessionOpen(answer.event_token(), answer.ledger_index());
    Finish(session);
  }

  void DropRecord() {
    parts().disk.Submit(
        Worker::Urgency::kNormal,
        [&journal = parts().journal, id = session_->id] {
          return journal.DropSession(id);
        },
        [](const Status&) {});
  }

  void Finish(Result<SessionPtr> result) {
    if (finished()) return;
    const Done done = std::exchange(done_, {});
    place_.reset();
    if (timer_ != 0) parts().loop.Cancel(std::exchange(timer_, 0));
    if (!result.has_value()) {
      parts().sessions.End(session_, "open_failed");
    }
    if (running_) {
      --opener_.running_;
      opener_.StartSome();
    }
    done(std::move(result));
  }

  SessionOpener& opener_;
  SessionPtr session_;
  Done done_;  // Empty once it has run.
  DevicePtr device_;
  platform::EventLoop::TimerId timer_ = 0;
  bool running_ = false;
  bool second_round_ = false;
  std::optional<QuoteOrder::Place> place_;

  ObservedProcess process_;
  BindingInputs inputs_;
  v1::SessionEvidence evidence_;
  state::OpenSession record_;
};

SessionOpener::SessionOpener(const Parts& parts, SessionSettings settings)
    : parts_(parts), settings_(std::move(settings)) {}

SessionOpener::~SessionOpener() = default;

void SessionOpener::Open(const SessionPtr& session, Done done) {
  if (queue_.size() >= kMaxWaiting ||
      queue_.size_of(session->uid) >= kMaxWaitingPerUid) {
    parts_.sessions.End(session, "open_failed");
    done(Fail(ErrorCode::kBusy, "too many sessions are being opened"));
    return;
  }
  auto attempt = std::make_shared<Attempt>(*this, session, std::move(done));
  attempt->ArmTimeout();
  queue_.Push(session->uid, std::move(attempt));
  StartSome();
}

void SessionOpener::StartSome() {
  while (running_ < kAtOnce && !queue_.empty()) {
    const std::shared_ptr<Attempt> next = queue_.Pop();
    if (next->finished()) continue;
    ++running_;
    next->Start();
  }
}

}  // namespace countersign::agent
