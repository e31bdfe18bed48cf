#include "agent/daemon/session_registry.h"

#include <algorithm>
#include <utility>

#include "attest/base/digest.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxRemembered = 1024;
constexpr uint32_t kMaxLeaseS = 120;

const char* StateName(SessionState state) {
  switch (state) {
    case SessionState::kReserved:
      return "reserved";
    case SessionState::kOpening:
      return "opening";
    case SessionState::kOpen:
      return "open";
    case SessionState::kEnded:
      return "ended";
  }
  return "ended";
}

Error EndError(const std::string& reason) {
  if (reason == "expired") return {ErrorCode::kSessionExpired, {}};
  if (reason == "tpm_reset") return {ErrorCode::kStaleBoot, {}};
  return {ErrorCode::kSessionEnded, "it ended with: " + reason};
}

bool SameProcess(const platform::PinnedPeer& peer, uint32_t pid,
                 uint64_t start) {
  return peer.pid() == pid && peer.start_time() == start;
}

// May `peer` use `session`? Alive, of the same user, and its owner or, where
// they may, a descendant.
Status CheckOwnership(const platform::PinnedPeer& peer,
                      const Session& session) {
  const platform::PinnedPeer& owner = *session.owner;
  if (SameProcess(peer, owner.pid(), owner.start_time())) return {};
  CS_ASSIGN_OR_RETURN(const bool descends, peer.IsDescendantOf(owner));
  if (!descends) {
    return Fail(ErrorCode::kNotSessionOwner, "it belongs to process " +
                                                 std::to_string(owner.pid()) +
                                                 " and what that has started");
  }
  if (session.owner_is == OwnerIs::kAskingWithChildren) {
    return Fail(ErrorCode::kNotSessionOwner,
                "process " + std::to_string(owner.pid()) +
                    " had children when it opened it and uses it alone; for "
                    "its children it can use 'countersign session open'");
  }
  return {};
}

}  // namespace

SessionRegistry::SessionRegistry(platform::EventLoop& loop, const Clock& clock)
    : loop_(loop), clock_(clock) {}

SessionRegistry::~SessionRegistry() {
  if (expiry_timer_ != 0) loop_.Cancel(expiry_timer_);
  for (const auto& [id, session] : sessions_) {
    if (session->owner.has_value()) {
      loop_.Remove(session->owner->exit_handle());
    }
  }
}

Status SessionRegistry::CheckRoom(uint32_t uid) const {
  if (sessions_.size() >= kMaxSessions || CountOf(uid) >= kMaxSessionsPerUid) {
    return Fail(ErrorCode::kBusy, "too many sessions are open");
  }
  return {};
}

Status SessionRegistry::CheckReserved(
    const std::string& id, const platform::PinnedPeer& caller) const {
  CS_RETURN_IF_ERROR(FindReserved(id, caller));
  return {};
}

Result<SessionPtr> SessionRegistry::Add(const v1::OpenSessionRequest& asked,
                                        uint32_t uid) {
  CS_RETURN_IF_ERROR(CheckRoom(uid));
  auto session = std::make_shared<Session>();
  session->id = AsString(RandomBytes(16));
  session->uid = uid;
  session->purpose = asked.purpose();
  session->task_id = asked.task_id();
  session->origin = asked.origin();
  session->lifetime_s = asked.lifetime_s();
  sessions_.emplace(session->id, session);
  return session;
}

Result<SessionPtr> SessionRegistry::Reserve(
    const v1::OpenSessionRequest& asked, const platform::PinnedPeer& caller) {
  CS_ASSIGN_OR_RETURN(const SessionPtr session, Add(asked, caller.uid()));
  session->reserved_by_pid = caller.pid();
  session->reserved_by_start = caller.start_time();
  SetDeadline(*session, clock_.MonotonicMs() + kReservedFor.count());
  return session;
}

Result<SessionPtr> SessionRegistry::Create(const v1::OpenSessionRequest& asked,
                                           platform::PinnedPeer owner,
                                           OwnerIs owner_is) {
  CS_ASSIGN_OR_RETURN(const SessionPtr session, Add(asked, owner.uid()));
  session->state = SessionState::kOpening;
  session->owner_is = owner_is;
  session->owner = std::move(owner);
  CS_RETURN_IF_ERROR(Watch(session));
  return session;
}

Result<SessionPtr> SessionRegistry::FindReserved(
    const std::string& id, const platform::PinnedPeer& caller) const {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) {
    return tl::unexpected(NotThere(id, caller.uid()));
  }
  const Session& session = *found->second;
  if (session.state != SessionState::kReserved ||
      !SameProcess(caller, session.reserved_by_pid,
                   session.reserved_by_start)) {
    return Fail(ErrorCode::kSessionUnknown, "not reserved by this process");
  }
  return found->second;
}

Result<SessionPtr> SessionRegistry::BindReserved(
    const std::string& id, const platform::PinnedPeer& caller,
    platform::PinnedPeer owner, OwnerIs owner_is) {
  CS_ASSIGN_OR_RETURN(const SessionPtr session, FindReserved(id, caller));
  session->state = SessionState::kOpening;
  ClearDeadline(*session);
  session->owner_is = owner_is;
  session->owner = std::move(owner);
  CS_RETURN_IF_ERROR(Watch(session));
  return session;
}

// Ends `session` with its owner process.
Status SessionRegistry::Watch(const SessionPtr& session) {
  Status watched =
      loop_.Add(session->owner->exit_handle(), [this, id = session->id] {
        const auto found = sessions_.find(id);
        if (found == sessions_.end()) return;
        const SessionPtr ending = found->second;
        End(ending, "owner_exited");
      });
  if (!watched.has_value()) {
    session->owner.reset();
    End(session, "not_watched");
  }
  return watched;
}

void SessionRegistry::Open(const SessionPtr& session, int64_t lifetime_ms) {
  if (session->state != SessionState::kOpening) return;
  session->state = SessionState::kOpen;
  session->opened_at_ms = clock_.NowMs();
  session->expires_at_ms = session->opened_at_ms + lifetime_ms;
  SetDeadline(*session, clock_.MonotonicMs() + lifetime_ms);
  if (listener_ != nullptr) listener_->OnSessionOpen(*session);
  const auto waiting = waiting_.extract(session->id);
  if (waiting.empty()) return;
  for (const Waiting& one : waiting.mapped()) {
    Find(session->id, one.caller, one.use);
  }
}

void SessionRegistry::End(const SessionPtr& session, const std::string& reason,
                          bool by_service) {
  if (session->state == SessionState::kEnded) return;
  session->state = SessionState::kEnded;
  session->end_reason = reason;
  session->key.reset();
  ClearDeadline(*session);
  sessions_.erase(session->id);
  Remember(*session);
  if (session->owner.has_value()) {
    loop_.Remove(session->owner->exit_handle());
    session->owner.reset();
  }
  const auto waiting = waiting_.extract(session->id);
  if (!waiting.empty()) {
    for (const Waiting& one : waiting.mapped()) {
      one.use(tl::unexpected(EndError(reason)));
    }
  }
  if (listener_ != nullptr) listener_->OnSessionEnd(session, by_service);
}

void SessionRegistry::EndOfLogins(uint32_t uid, const std::string& reason) {
  std::vector<SessionPtr> of_logins;
  for (const auto& [id, session] : sessions_) {
    if (session->uid == uid && !session->user.user_session_id().empty()) {
      of_logins.push_back(session);
    }
  }
  for (const SessionPtr& session : of_logins) End(session, reason);
}

void SessionRegistry::EndAll(const std::string& reason, bool by_service) {
  std::vector<SessionPtr> all;
  for (const auto& [id, session] : sessions_) all.push_back(session);
  for (const SessionPtr& session : all) End(session, reason, by_service);
}

void SessionRegistry::Remember(const Session& session) {
  ended_.insert_or_assign(session.id,
                          Ended{session.uid, EndError(session.end_reason)});
  ended_order_.push_back(session.id);
  if (ended_order_.size() > kMaxRemembered) {
    ended_.erase(ended_order_.front());
    ended_order_.pop_front();
  }
}

Error SessionRegistry::NotThere(const std::string& id, uint32_t uid) const {
  const auto ended = ended_.find(id);
  if (ended != ended_.end() && ended->second.uid == uid) {
    return ended->second.error;
  }
  return {ErrorCode::kSessionUnknown, {}};
}

void SessionRegistry::Find(const std::string& id, const CallerPtr& caller,
                           Use use) {
  const uint32_t uid = caller->peer->uid();
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second->uid != uid) {
    use(tl::unexpected(NotThere(id, uid)));
    return;
  }
  const SessionPtr session = found->second;
  // A timer may come a moment late; the clock decides.
  if (session->state == SessionState::kOpen &&
      clock_.MonotonicMs() >= session->expires_mono_ms) {
    End(session, "expired");
    use(tl::unexpected(NotThere(id, uid)));
    return;
  }
  if (session->state != SessionState::kOpen) {
    auto& waiting = waiting_[id];
    if (waiting.size() >= kMaxWaitingPerSession) {
      use(Fail(ErrorCode::kBusy, "too many requests wait for this session"));
      return;
    }
    waiting.push_back({caller, std::move(use)});
    return;
  }
  if (caller->owns != id) {
    const Status owned = CheckOwnership(*caller->peer, *session);
    if (!owned.has_value()) {
      use(tl::unexpected(owned.error()));
      return;
    }
    caller->owns = id;
  }
  use(session);
}

Result<SessionPtr> SessionRegistry::FindOfUser(const std::string& id,
                                               uint32_t uid) const {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second->uid != uid) {
    return tl::unexpected(NotThere(id, uid));
  }
  return found->second;
}

void SessionRegistry::OnLease(const v1::Lease& lease, int64_t asked_mono_ms) {
  const auto found = sessions_.find(lease.session_id());
  if (found == sessions_.end()) return;
  const SessionPtr session = found->second;
  if (!lease.ended().empty()) {
    End(session, lease.ended(), /*by_service=*/true);
    return;
  }
  const int64_t ttl_ms = int64_t{std::min(lease.ttl_s(), kMaxLeaseS)} * 1000;
  // Answers can arrive out of order: the later promise counts.
  session->lease_until_mono_ms =
      std::max(session->lease_until_mono_ms, asked_mono_ms + ttl_ms);
}

bool SessionRegistry::LeaseFresh(const Session& session) const {
  return clock_.MonotonicMs() < session.lease_until_mono_ms;
}

void SessionRegistry::OnTpmClock(const tpm::TpmClock& clock) {
  std::vector<SessionPtr> stale;
  for (const auto& [id, session] : sessions_) {
    if (session->state == SessionState::kOpen &&
        !session->boot.SameBoot(clock)) {
      stale.push_back(session);
    }
  }
  for (const SessionPtr& session : stale) End(session, "tpm_reset");
}

std::vector<v1::SessionInfo> SessionRegistry::List(uint32_t uid) const {
  std::vector<v1::SessionInfo> list;
  for (const auto& [id, session] : sessions_) {
    if (session->uid == uid) list.push_back(Info(*session));
  }
  std::ranges::sort(list, {}, [](const v1::SessionInfo& info) {
    return std::pair(info.opened_at_ms(), info.session_id());
  });
  return list;
}

v1::SessionInfo SessionRegistry::Info(const Session& session) const {
  v1::SessionInfo info;
  info.set_session_id(session.id);
  info.set_purpose(session.purpose);
  info.set_task_id(session.task_id);
  info.set_user(session.user.os_name());
  info.set_uid(session.uid);
  info.set_user_verification(session.user.verification());
  info.set_workload(session.workload.spiffe_id());
  info.set_executable(session.workload.executable_path());
  if (session.owner.has_value()) info.set_owner_pid(session.owner->pid());
  info.set_state(StateName(session.state));
  info.set_end_reason(session.end_reason);
  info.set_opened_at_ms(session.opened_at_ms);
  info.set_expires_at_ms(session.expires_at_ms);
  info.set_actions(session.actions);
  info.set_ledger_index(session.ledger_index);
  if (session.login) *info.mutable_login() = *session.login;
  const int64_t left = session.lease_until_mono_ms - clock_.MonotonicMs();
  info.set_lease_left_s(static_cast<uint32_t>(std::max<int64_t>(0, left)) /
                        1000);
  return info;
}

size_t SessionRegistry::CountOf(uint32_t uid) const {
  return static_cast<size_t>(std::ranges::count_if(
      sessions_,
      [uid](const auto& entry) { return entry.second->uid == uid; }));
}

void SessionRegistry::SetDeadline(Session& session, int64_t mono_ms) {
  ClearDeadline(session);
  session.expires_mono_ms = mono_ms;
  deadlines_.emplace(mono_ms, session.id);
  ArmExpiry();
}

void SessionRegistry::ClearDeadline(Session& session) {
  deadlines_.erase({session.expires_mono_ms, session.id});
  session.expires_mono_ms = 0;
}

void SessionRegistry::ArmExpiry() {
  if (deadlines_.empty()) return;
  const int64_t next = deadlines_.begin()->first;
  if (expiry_timer_ != 0) {
    if (expiry_armed_for_ <= next) return;
    loop_.Cancel(expiry_timer_);
  }
  expiry_armed_for_ = next;
  const int64_t delay = std::max<int64_t>(0, next - clock_.MonotonicMs());
  expiry_timer_ = loop_.RunAfter(std::chrono::milliseconds(delay), [this] {
    expiry_timer_ = 0;
    ExpireSome();
  });
}

void SessionRegistry::ExpireSome() {
  const int64_t now = clock_.MonotonicMs();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const SessionPtr session = sessions_.at(deadlines_.begin()->second);
    End(session,
        session->state == SessionState::kReserved ? "never_opened" : "expired");
  }
  ArmExpiry();
}

}  // namespace countersign::agent
