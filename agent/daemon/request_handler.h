// What a client may ask and what it is told.
//
// Before anything else, each frame: it echoes this connection's nonce, the
// process that connected wrote it, and that process still runs what it ran.
// Results and events show a caller only what is of its own user. Asks the
// other parts to do things and does none itself. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_REQUEST_HANDLER_H_
#define COUNTERSIGN_AGENT_DAEMON_REQUEST_HANDLER_H_

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/daemon/approvals.h"
#include "agent/daemon/batcher.h"
#include "agent/daemon/doctor.h"
#include "agent/daemon/enroll.h"
#include "agent/daemon/logins.h"
#include "agent/daemon/session_opener.h"
#include "agent/daemon/session_registry.h"
#include "agent/daemon/user_quota.h"
#include "agent/ipc/messages.h"
#include "agent/ipc/server.h"
#include "platform/trusted_file.h"

namespace countersign::agent {

// What the daemon knows of itself, kept by its owner.
struct DaemonState {
  AgentConfig config;
  std::string config_error;  // Of the last reload; empty: it is in use.
  DevicePtr device;          // Null: not enrolled, and why:
  Error why_no_device{ErrorCode::kNotEnrolled, {}};
  std::vector<platform::FileIdentity> relays;
  bool draining = false;  // Takes no new work any more.
};

class RequestHandler final : public ServerHandler, public SessionListener {
 public:
  struct Parts {
    platform::EventLoop& loop;
    const Clock& clock;
    const DaemonState& state;
    SessionRegistry& sessions;
    SessionOpener& opener;
    Batcher& batcher;
    Enroller& enroller;
    Doctor& doctor;
    ServiceLink& service;
    UplinkChannel& uplink;
    TpmQueue& tpm;
    Worker& disk;
    Journal& journal;
    Logins& logins;
    std::function<void(Enrolled)> on_enrolled;
  };

  // A bundle may be half a megabyte: only so many are made at once. As of all
  // that is bounded here, no one user takes the last quarter.
  static constexpr size_t kMaxBundles = 32;
  static constexpr size_t kMaxDoctors = 4;

  explicit RequestHandler(const Parts& parts);
  ~RequestHandler() override;

  // Before the first connection; outlives this.
  void set_server(Server& server) { server_ = &server; }

  // Requests that are under way.
  [[nodiscard]] size_t outstanding() const { return outstanding_.taken(); }

  Result<Bytes> OnConnect(ConnectionId id,
                          const platform::LocalConnection& connection) override;
  Bytes Refusal(const Error& error) override;
  void OnFrame(ConnectionId id, Frame frame) override;
  void OnClose(ConnectionId id) override;

  void OnSessionOpen(const Session& session) override;
  void OnSessionEnd(const SessionPtr& session, bool by_service) override;

 private:
  // One connection.
  struct Client {
    // Who connected and must have written.
    std::shared_ptr<const platform::PinnedPeer> peer;
    CallerPtr caller;  // On whose behalf: the same, or its parent.
    std::string nonce;
    // The last read since which the peer was verified (Frame::read).
    uint64_t verified_read = 0;
    // Of a client that watches.
    bool watching = false;
    uint64_t watch_id = 0;
    Encoding watch_encoding = Encoding::kProtobuf;
  };
  // Where one answer goes.
  struct Ask {
    ConnectionId connection = 0;
    uint64_t request_id = 0;
    Encoding encoding = Encoding::kProtobuf;
    uint32_t uid = 0;
    std::shared_ptr<Client> client;
    std::vector<platform::OwnedHandle> processes;
  };
  using AskPtr = std::shared_ptr<Ask>;

  [[nodiscard]] Status CheckFrame(Client& client, const Frame& frame,
                                  const v1::Request& request) const;
  [[nodiscard]] Result<CallerPtr> IdentifyCaller(
      const std::shared_ptr<const platform::PinnedPeer>& peer) const;
  void Dispatch(const AskPtr& ask, const v1::Request& request);

  void OnStatus(const AskPtr& ask);
  void OnOpenSession(const AskPtr& ask, const v1::OpenSessionRequest& request);
  [[nodiscard]] Result<SessionPtr> BeginSession(
      const AskPtr& ask, const v1::OpenSessionRequest& request);
  void OnCloseSession(const AskPtr& ask,
                      const v1::CloseSessionRequest& request);
  void OnListSessions(const AskPtr& ask);
  void OnAuthorize(const AskPtr& ask, const v1::AuthorizeRequest& request);
  void Authorize(const AskPtr& ask, const v1::AuthorizeRequest& request,
                 const SessionPtr& session);
  void OnDecision(const AskPtr& ask, const v1::AuthorizeRequest& request,
                  const std::string& action_request, const SessionPtr& session,
                  Result<ActionOutcome> outcome);
  void SendBundle(const AskPtr& ask, const SessionPtr& session,
                  const ActionOutcome& outcome, v1::AuthorizeResponse answer);
  [[nodiscard]] Status AskUser(const Session& session,
                               const std::string& action_request,
                               const v1::AuthorizeResponse& answer);
  void OnApprove(const AskPtr& ask, const v1::ApproveRequest& request);
  [[nodiscard]] Result<Approvals::Word> Approve(
      const Ask& ask, const v1::ApproveRequest& request);
  void OnSignDpop(const AskPtr& ask, const v1::SignDpopRequest& request);
  void RenewThenSignDpop(const AskPtr& ask, const v1::SignDpopRequest& request,
                         const SessionPtr& session);
  void SignDpop(const AskPtr& ask, const v1::SignDpopRequest& request,
                const SessionPtr& session);
  void OnWatch(const AskPtr& ask);
  void OnEnroll(const AskPtr& ask, const v1::EnrollRequest& request);
  void OnDoctor(const AskPtr& ask);
  void OnLogin(const AskPtr& ask, const v1::LoginRequest& request);
  void OnLogout(const AskPtr& ask);

  void Answer(const AskPtr& ask, v1::Response response);
  void Refuse(const AskPtr& ask, const Error& error);
  void Tell(uint32_t uid, const v1::WatchEvent& event);

  Parts parts_;
  Approvals approvals_;
  Server* server_ = nullptr;
  std::unordered_map<ConnectionId, std::shared_ptr<Client>> clients_;
  UserQuota outstanding_;
  UserQuota bundles_;
  UserQuota doctors_;
  size_t watchers_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_REQUEST_HANDLER_H_
