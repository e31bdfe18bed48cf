// The verb by which a user says yes or no, and who may say it.
#include "agent/daemon/request_handler.h"

namespace countersign::agent {
namespace {

// Whoever may use the session does not approve what is asked in it: then it
// would approve itself. The one exception is the relay that opened the
// session: a browser's window reaches us by the same way as its pages do, and
// we cannot tell them apart (docs/decisions/0015-prompt-approvals.md).
//   kApproverNotApart, kPeerGone
Status CheckApprover(const platform::PinnedPeer& peer, const Caller& caller,
                     const Session& session) {
  const platform::PinnedPeer& owner = *session.owner;
  if (caller.through_relay && session.by_relay &&
      caller.peer->pid() == owner.pid() &&
      caller.peer->start_time() == owner.start_time()) {
    return {};
  }
  CS_ASSIGN_OR_RETURN(const bool outside, peer.IsOutsideOf(owner));
  if (outside) return {};
  return Fail(ErrorCode::kApproverNotApart,
              "process " + std::to_string(peer.pid()) +
                  " is not shown to be outside the session of process " +
                  std::to_string(owner.pid()));
}

}  // namespace

Status RequestHandler::AskUser(const Session& session,
                               const std::string& action_request,
                               const v1::AuthorizeResponse& answer) {
  // Nobody can use an approval in a session that has ended meanwhile.
  if (session.state != SessionState::kOpen) return {};
  v1::WatchEvent event;
  event.set_kind("approval_asked");
  v1::PendingApproval& pending = *event.mutable_approval();
  pending.set_session_id(session.id);
  pending.set_request_digest(answer.request_digest());
  pending.set_rule(answer.rule());
  if (!pending.mutable_request()->ParseFromString(action_request)) {
    return Fail(ErrorCode::kInternal, "an action request of our own");
  }
  CS_RETURN_IF_ERROR(approvals_.Ask(session.uid, pending));
  Tell(session.uid, event);
  return {};
}

void RequestHandler::OnApprove(const AskPtr& ask,
                               const v1::ApproveRequest& request) {
  const auto word = Approve(*ask, request);
  if (!word.has_value()) {
    Refuse(ask, word.error());
    return;
  }
  v1::Response response;
  *response.mutable_approve()->mutable_decided() = word->pending;
  response.mutable_approve()->set_reference(word->reference);
  Answer(ask, std::move(response));
  v1::WatchEvent event;
  event.set_kind(request.approve() ? "approval_given" : "approval_refused");
  *event.mutable_approval() = word->pending;
  Tell(ask->uid, event);
}

// In this order: kSessionUnknown and how the session ended, kNotFound,
// kApproverNotApart.
Result<Approvals::Word> RequestHandler::Approve(
    const Ask& ask, const v1::ApproveRequest& request) {
  CS_ASSIGN_OR_RETURN(
      const SessionPtr session,
      parts_.sessions.FindOfUser(request.session_id(), ask.uid));
  if (session->state != SessionState::kOpen) {
    return Fail(ErrorCode::kNotFound, "nothing was asked in this session yet");
  }
  CS_RETURN_IF_ERROR(
      CheckApprover(*ask.client->peer, *ask.client->caller, *session));
  return approvals_.Decide(session->id, request.request_digest(),
                           request.approve());
}

}  // namespace countersign::agent
