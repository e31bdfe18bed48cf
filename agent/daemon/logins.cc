#include "agent/daemon/logins.h"

#include <utility>

#include "agent/daemon/login_flow.h"
#include "agent/ipc/messages.h"
#include "attest/base/digest.h"
#include "attest/jose/signed_answer.h"

namespace countersign::agent {
namespace {

constexpr char kPrefix[] = "login/";
constexpr size_t kMaxLogins = 1024;
constexpr uint32_t kTimeoutMs = 30'000;
// As long as the service takes the challenge.
constexpr int64_t kPendingMs = 600'000;

std::string KeyOf(uint32_t uid) { return kPrefix + std::to_string(uid); }

}  // namespace

Status Logins::Load() {
  CS_ASSIGN_OR_RETURN(const auto entries,
                      parts_.store.Scan(kPrefix, "", kMaxLogins));
  for (const platform::StateStore::Entry& entry : entries) {
    state::UserLogin login;
    // One that cannot be read is as good as none: the user signs in again.
    if (login.ParseFromString(AsString(entry.value))) {
      logins_[login.uid()] = std::move(login);
    }
  }
  return {};
}

void Logins::set_device(DevicePtr device) {
  device_ = std::move(device);
  pending_.clear();
  std::vector<uint32_t> foreign;
  for (const auto& entry : logins_) {
    if (entry.second.device_id() != device_->record.device_id()) {
      foreign.push_back(entry.first);
    }
  }
  for (const uint32_t uid : foreign) Forget(uid);
}

const state::UserLogin* Logins::Of(uint32_t uid) const {
  const auto found = logins_.find(uid);
  if (found == logins_.end()) return nullptr;
  const bool over =
      found->second.expires_at_ms() <= parts_.service.ServiceNowS() * 1000;
  return over ? nullptr : &found->second;
}

v1::LoginInfo Logins::Info(const state::UserLogin& login) {
  v1::LoginInfo info;
  info.set_display_name(login.display_name());
  info.set_subject(login.subject());
  info.set_method(login.method());
  info.set_since_ms(login.since_ms());
  info.set_expires_at_ms(login.expires_at_ms());
  info.set_ledger_index(login.ledger_index());
  return info;
}

void Logins::Begin(uint32_t uid, uint32_t pid, const std::string& user_name,
                   bool device_code, const Done& done) {
  if (device_ == nullptr) return done(Fail(ErrorCode::kNotEnrolled));
  if (pending_.size() >= kMaxLogins || std::exchange(busy_[uid], true)) {
    return done(Fail(ErrorCode::kBusy, "a sign-in is under way"));
  }
  LoginAsk ask{.method = device_code ? "device" : "code",
               .uid = uid,
               .pid = pid,
               .user_name = user_name,
               .user_session_id = {}};
  QuoteLogin(parts_, device_, std::move(ask),
             [this, uid, device_code, done](Result<QuotedLogin> quoted) {
               busy_.erase(uid);
               if (!quoted.has_value()) {
                 return done(tl::unexpected(std::move(quoted).error()));
               }
               Pending& pending = pending_[uid];
               pending = {std::move(quoted->evidence), "",
                          parts_.clock.MonotonicMs() + kPendingMs};
               if (device_code) {
                 v1::LoginRequest nothing;
                 Finish(uid, nothing, done);
                 return;
               }
               v1::LoginResponse response;
               *response.mutable_provider() = std::move(quoted->provider);
               response.set_nonce(quoted->nonce);
               done(std::move(response));
             });
}

Result<Logins::Pending*> Logins::FindPending(uint32_t uid) {
  const auto found = pending_.find(uid);
  if (found == pending_.end()) return Fail(ErrorCode::kLoginUnknown);
  if (found->second.until_mono_ms <= parts_.clock.MonotonicMs()) {
    pending_.erase(found);
    return Fail(ErrorCode::kLoginUnknown, "it took too long");
  }
  return &found->second;
}

void Logins::Finish(uint32_t uid, const v1::LoginRequest& request,
                    const Done& done) {
  const auto pending = FindPending(uid);
  if (!pending.has_value()) return done(tl::unexpected(pending.error()));
  if (std::exchange(busy_[uid], true)) {
    return done(Fail(ErrorCode::kBusy, "a sign-in is under way"));
  }
  v1::LoginEvidence evidence = (*pending)->evidence;
  evidence.set_code(request.code());
  evidence.set_code_verifier(request.code_verifier());
  evidence.set_redirect_uri(request.redirect_uri());
  parts_.service.Post(device_->service, ServiceLink::kControl, "/v1/logins",
                      evidence.SerializeAsString(), jose::kKindLogin,
                      kTimeoutMs,
                      [this, uid, done](const ServiceResult& result) {
                        OnAnswer(uid, result, done);
                      });
}

void Logins::Poll(uint32_t uid, const Done& done) {
  const auto pending = FindPending(uid);
  if (!pending.has_value()) return done(tl::unexpected(pending.error()));
  if ((*pending)->pending_id.empty()) {
    return done(Fail(ErrorCode::kLoginUnknown, "not with a device code"));
  }
  if (std::exchange(busy_[uid], true)) {
    return done(Fail(ErrorCode::kBusy, "a sign-in is under way"));
  }
  v1::LoginPollRequest poll;
  poll.set_device_id(device_->record.device_id());
  poll.set_pending_id((*pending)->pending_id);
  poll.set_request_nonce(AsString(RandomBytes(16)));
  parts_.service.Post(device_->service, ServiceLink::kControl,
                      "/v1/logins/poll", poll.SerializeAsString(),
                      jose::kKindLogin, kTimeoutMs,
                      [this, uid, done](const ServiceResult& result) {
                        OnAnswer(uid, result, done);
                      });
}

void Logins::OnAnswer(uint32_t uid, const ServiceResult& result,
                      const Done& done) {
  busy_.erase(uid);
  if (!result.has_value()) {
    // Once the challenge is spent, the same statement is of no more use; a
    // poll may be asked again.
    const auto pending = pending_.find(uid);
    if (pending != pending_.end() &&
        (result.error().refused ? !MayHeal(result.error())
                                : pending->second.pending_id.empty())) {
      pending_.erase(pending);
    }
    return done(tl::unexpected(result.error().error));
  }
  v1::LoginAnswer answer;
  if (!answer.ParseFromString(result->payload)) {
    return done(Fail(ErrorCode::kAnswerInvalid, "the answer cannot be read"));
  }
  if (answer.has_prompt()) {
    const auto pending = pending_.find(uid);
    if (pending != pending_.end()) {
      pending->second.pending_id = answer.prompt().pending_id();
      pending->second.until_mono_ms =
          parts_.clock.MonotonicMs() +
          int64_t{answer.prompt().expires_s()} * 1000;
    }
    v1::LoginResponse response;
    *response.mutable_prompt() = answer.prompt();
    return done(std::move(response));
  }
  pending_.erase(uid);
  state::UserLogin login;
  login.set_uid(uid);
  login.set_device_id(device_->record.device_id());
  login.set_user_session_id(answer.user_session_id());
  login.set_subject(answer.subject());
  login.set_display_name(answer.display_name());
  login.set_method(answer.method());
  login.set_since_ms(result->issued_at_s * 1000);
  login.set_expires_at_ms(answer.expires_at_ms());
  login.set_ledger_index(answer.ledger_index());
  Keep(std::move(login), done);
}

void Logins::Keep(state::UserLogin login, const Done& done) {
  const uint32_t uid = login.uid();
  platform::StateStore::Write write{
      KeyOf(uid), ToBytes(AsBytes(login.SerializeAsString()))};
  logins_[uid] = std::move(login);
  v1::LoginResponse response;
  *response.mutable_login() = Info(logins_[uid]);
  parts_.disk.Submit(
      Worker::Urgency::kNormal,
      [&store = parts_.store, write = std::move(write)] {
        return store.Commit({&write, 1});
      },
      // Signed in all the same; after a restart the user signs in again.
      [done, response = std::move(response)](const Status&) mutable {
        done(std::move(response));
      });
}

void Logins::LogOut(uint32_t uid, const LoggedOut& done) {
  if (device_ == nullptr) return done(Fail(ErrorCode::kNotEnrolled));
  pending_.erase(uid);
  const auto found = logins_.find(uid);
  if (found == logins_.end()) return done(v1::LogoutResponse());
  LoginAsk ask{.method = "logout",
               .uid = uid,
               .pid = 0,
               .user_name = {},
               .user_session_id = found->second.user_session_id()};
  parts_.sessions.EndOfLogins(uid, "logged_out");
  Forget(uid);
  const auto answer = [done](const ServiceResult& result) {
    v1::LogoutResponse response;
    response.set_was_signed_in(true);
    // That it had ended there already is as well.
    if (!result.has_value() &&
        result.error().error.code != ErrorCode::kLoginEnded) {
      *response.mutable_service_error() = ToErrorInfo(result.error().error);
    }
    done(std::move(response));
  };
  QuoteLogin(parts_, device_, std::move(ask),
             [this, answer](Result<QuotedLogin> quoted) {
               if (!quoted.has_value()) {
                 return answer(tl::unexpected(
                     ServiceFailure{std::move(quoted).error(), 0, false}));
               }
               parts_.service.Post(device_->service, ServiceLink::kControl,
                                   "/v1/logins",
                                   quoted->evidence.SerializeAsString(),
                                   jose::kKindLogin, kTimeoutMs, answer);
             });
}

void Logins::Drop(uint32_t uid, const std::string& user_session_id) {
  const auto found = logins_.find(uid);
  if (found != logins_.end() &&
      found->second.user_session_id() == user_session_id) {
    Forget(uid);
  }
}

void Logins::Forget(uint32_t uid) {
  logins_.erase(uid);
  parts_.disk.Submit(
      Worker::Urgency::kNormal,
      [&store = parts_.store,
       write = platform::StateStore::Write{KeyOf(uid), std::nullopt}] {
        return store.Commit({&write, 1});
      },
      [](const Status&) {});
}

void DescribeLogin(const state::UserLogin& login, v1::User& user) {
  user.set_user_session_id(login.user_session_id());
  user.set_verification(login.method());
  v1::Observation& observation = *user.add_observations();
  observation.set_name("user_session_id");
  observation.set_how("the service's answer to a login");
  observation.set_grade(v1::GRADE_VERIFIED_BY_SERVICE);
}

bool EndsLogin(std::string_view reason) {
  return reason == "logged_out" || reason == "provider_logout" ||
         reason == "another_user";
}

}  // namespace countersign::agent
