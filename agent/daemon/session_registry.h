// Which sessions there are, who may use them, and when they end.
//
// A session belongs to one process: it and its live descendants of the same
// user may use it, and knowing its id is nothing. One that opened it itself
// while it had children uses it alone (OwnerIs). Ending one destroys its
// key first; whoever listens is told after. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_SESSION_REGISTRY_H_
#define COUNTERSIGN_AGENT_DAEMON_SESSION_REGISTRY_H_

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/daemon/session.h"
#include "attest/base/clock.h"
#include "attest/base/result.h"
#include "countersign/v1/agent.pb.h"
#include "countersign/v1/service.pb.h"
#include "platform/event_loop.h"
#include "platform/peer_identity.h"

namespace countersign::agent {

class SessionListener {
 public:
  virtual ~SessionListener() = default;
  virtual void OnSessionOpen(const Session& session) = 0;
  // `by_service`: the service ended it and need not be told.
  virtual void OnSessionEnd(const SessionPtr& session, bool by_service) = 0;
};

// Who asks: a connection's process, or a relay's parent.
struct Caller {
  std::shared_ptr<const platform::PinnedPeer> peer;
  bool through_relay = false;
  // The extension that a browser named when it started the relay, or empty.
  std::string relay_origin = {};
  // The last session that it was found to own: being a descendant does not
  // change while a process lives, and asking the kernel each time is slow.
  std::string owns = {};
};
using CallerPtr = std::shared_ptr<Caller>;

class SessionRegistry {
 public:
  using Use = std::function<void(Result<SessionPtr>)>;

  static constexpr size_t kMaxSessions = 4096;
  static constexpr size_t kMaxSessionsPerUid = 1024;
  static constexpr size_t kMaxWaitingPerSession = 256;
  static constexpr std::chrono::milliseconds kReservedFor{60'000};

  SessionRegistry(platform::EventLoop& loop, const Clock& clock);
  ~SessionRegistry();
  void set_listener(SessionListener& listener) { listener_ = &listener; }

  // What Create and BindReserved refuse, before anything costly is learnt about
  // the owner: kBusy; kSessionUnknown.
  [[nodiscard]] Status CheckRoom(uint32_t uid) const;
  [[nodiscard]] Status CheckReserved(const std::string& id,
                                     const platform::PinnedPeer& caller) const;

  // A name without an owner yet, for `caller`. Given back by itself when it is
  // not opened in time. kBusy: too many sessions.
  [[nodiscard]] Result<SessionPtr> Reserve(const v1::OpenSessionRequest& asked,
                                           const platform::PinnedPeer& caller);
  // A session that is being opened for `owner`. kBusy.
  [[nodiscard]] Result<SessionPtr> Create(const v1::OpenSessionRequest& asked,
                                          platform::PinnedPeer owner,
                                          OwnerIs owner_is);
  // Names the owner of a session that `caller` reserved.
  //   kSessionUnknown  not reserved, or not by `caller`
  [[nodiscard]] Result<SessionPtr> BindReserved(
      const std::string& id, const platform::PinnedPeer& caller,
      platform::PinnedPeer owner, OwnerIs owner_is);

  // The service has bound it: it can be used until it ends. Requests that
  // waited for it run.
  void Open(const SessionPtr& session, int64_t lifetime_ms);

  // Ends it, whatever its state; does nothing if it has ended. `reason` is a
  // word of the ledger, e.g. "owner_exited".
  void End(const SessionPtr& session, const std::string& reason,
           bool by_service = false);
  // Those of this user_session_id.
  void EndOfLogins(uint32_t uid, const std::string& reason);
  void EndAll(const std::string& reason, bool by_service);

  // Finds the session for `caller`. `use` runs at once, or as soon as a session
  // that is still being opened can be used.
  //   kSessionUnknown              no such session, or another user's
  //   kSessionExpired, kStaleBoot  it has ended so
  //   kSessionEnded                for another reason, which the detail names
  //   kNotSessionOwner             the caller is neither its owner nor a
  //                              descendant of it, or a descendant of one
  //                              that uses it alone
  //   kBusy                        too many wait for it
  void Find(const std::string& id, const CallerPtr& caller, Use use);
  // For closing, which every process of the same user may do.
  [[nodiscard]] Result<SessionPtr> FindOfUser(const std::string& id,
                                              uint32_t uid) const;

  // What a verified answer says of a session.
  void OnLease(const v1::Lease& lease, int64_t asked_mono_ms);
  [[nodiscard]] bool LeaseFresh(const Session& session) const;
  // What a quote says of the TPM: sessions of another boot end.
  void OnTpmClock(const tpm::TpmClock& clock);

  [[nodiscard]] std::vector<v1::SessionInfo> List(uint32_t uid) const;
  [[nodiscard]] v1::SessionInfo Info(const Session& session) const;
  [[nodiscard]] size_t CountOf(uint32_t uid) const;
  [[nodiscard]] size_t size() const { return sessions_.size(); }
  // Ends that are waited for: no more than there are sessions.
  [[nodiscard]] size_t deadlines() const { return deadlines_.size(); }

 private:
  struct Waiting {
    CallerPtr caller;
    Use use;
  };
  struct Ended {
    uint32_t uid;
    Error error;
  };

  [[nodiscard]] Result<SessionPtr> Add(const v1::OpenSessionRequest& asked,
                                       uint32_t uid);
  [[nodiscard]] Result<SessionPtr> FindReserved(
      const std::string& id, const platform::PinnedPeer& caller) const;
  [[nodiscard]] Status Watch(const SessionPtr& session);
  void Remember(const Session& session);
  [[nodiscard]] Error NotThere(const std::string& id, uint32_t uid) const;
  void SetDeadline(Session& session, int64_t mono_ms);
  void ClearDeadline(Session& session);
  void ArmExpiry();
  void ExpireSome();

  platform::EventLoop& loop_;
  const Clock& clock_;
  SessionListener* listener_ = nullptr;
  std::unordered_map<std::string, SessionPtr> sessions_;
  std::unordered_map<std::string, std::vector<Waiting>> waiting_;
  std::unordered_map<std::string, Ended> ended_;  // The last ones.
  std::deque<std::string> ended_order_;
  std::set<std::pair<int64_t, std::string>> deadlines_;  // Monotonic ms, id.
  platform::EventLoop::TimerId expiry_timer_ = 0;
  int64_t expiry_armed_for_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_SESSION_REGISTRY_H_
