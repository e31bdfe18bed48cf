#include "agent/daemon/login_flow.h"

#include <utility>

#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/statement.h"
#include "platform/login_session.h"

namespace countersign::agent {
namespace {

constexpr uint32_t kTimeoutMs = 30'000;
constexpr size_t kMaxUserText = 250;

// Keeps itself alive until it is done.
class Flow : public std::enable_shared_from_this<Flow> {
 public:
  using Done = std::function<void(Result<QuotedLogin>)>;

  Flow(const Logins::Parts& parts, DevicePtr device, LoginAsk ask, Done done)
      : parts_(parts),
        device_(std::move(device)),
        ask_(std::move(ask)),
        done_(std::move(done)) {}

  void Start() {
    if (ask_.pid == 0) {
      AskChallenge();
      return;
    }
    parts_.files.Submit(
        Worker::Urgency::kNormal,
        [pid = ask_.pid, uid = ask_.uid] {
          return platform::FindLoginSession(pid, uid);
        },
        [self = shared_from_this()](Result<platform::LoginSession> session) {
          if (!session.has_value()) {
            self->done_(tl::unexpected(std::move(session).error()));
            return;
          }
          self->login_.set_os_session_id(Printable(session->id, kMaxUserText));
          self->AskChallenge();
        });
  }

 private:
  void AskChallenge() {
    v1::ChallengeRequest request;
    request.set_purpose(ask_.method == "logout" ? "logout" : "login");
    request.set_device_id(device_->record.device_id());
    request.set_request_nonce(AsString(RandomBytes(16)));
    parts_.service.Post(device_->service, ServiceLink::kControl,
                        "/v1/challenges", request.SerializeAsString(),
                        jose::kKindChallenge, kTimeoutMs,
                        [self = shared_from_this()](ServiceResult result) {
                          self->OnChallenge(std::move(result));
                        });
  }

  void OnChallenge(ServiceResult result) {
    v1::ChallengeAnswer answer;
    if (!result.has_value()) {
      done_(tl::unexpected(std::move(result).error().error));
    } else if (!answer.ParseFromString(result->payload) ||
               answer.nonce().size() != 32) {
      done_(Fail(ErrorCode::kAnswerInvalid, "a challenge without a nonce"));
    } else {
      made_.provider = answer.provider();
      Quote(answer.nonce());
    }
  }

  void Quote(const std::string& challenge) {
    login_.set_issuer(device_->service.issuer);
    login_.set_tenant(device_->record.tenant());
    login_.set_device_id(device_->record.device_id());
    login_.set_ak_name(device_->record.ak_name());
    login_.set_challenge(challenge);
    login_.set_method(ask_.method);
    login_.set_os_name(Printable(ask_.user_name, kMaxUserText));
    login_.set_os_id(std::to_string(ask_.uid));
    login_.set_user_session_id(ask_.user_session_id);
    const Bytes body = statement::SerializeStatement(login_);
    const auto type = statement::StatementType::kLogin;
    const Sha256Digest digest = statement::StatementDigest(type, body);
    v1::Statement& statement = *made_.evidence.mutable_statement();
    statement.set_type(std::string(statement::TypeUri(type)));
    statement.set_body(AsString(body));
    made_.nonce = ToBase64Url(digest);
    parts_.tpm.Submit(
        TpmQueue::Urgency::kUrgent,
        [digest, selection = device_->selection](platform::Tpm& tpm) {
          return QuoteStatement(tpm, digest, selection);
        },
        [self = shared_from_this()](Result<ClockedQuote> quote) {
          self->OnQuoted(std::move(quote));
        });
  }

  void OnQuoted(Result<ClockedQuote> quote) {
    if (!quote.has_value()) {
      done_(tl::unexpected(std::move(quote).error()));
      return;
    }
    parts_.sessions.OnTpmClock(quote->clock);
    *made_.evidence.mutable_quote() = std::move(quote->quote);
    done_(std::move(made_));
  }

  const Logins::Parts parts_;
  const DevicePtr device_;
  const LoginAsk ask_;
  const Done done_;
  v1::Login login_;
  QuotedLogin made_;
};

}  // namespace

void QuoteLogin(const Logins::Parts& parts, DevicePtr device, LoginAsk ask,
                std::function<void(Result<QuotedLogin>)> done) {
  std::make_shared<Flow>(parts, std::move(device), std::move(ask),
                         std::move(done))
      ->Start();
}

}  // namespace countersign::agent
