// The verbs that open, close and list sessions, and what their end brings.
#include "agent/daemon/request_handler.h"
#include "attest/base/text.h"
#include "attest/statement/limits.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxOriginSize = 2000;

// A second pin on the same process, to keep beyond the connection.
Result<platform::PinnedPeer> PinAgain(const platform::PinnedPeer& peer) {
  platform::OwnedHandle borrowed(peer.exit_handle());
  platform::OwnedHandle own = borrowed.Duplicate();
  (void)borrowed.Release();
  if (!own.valid()) {
    return Fail(ErrorCode::kBusy, "out of file descriptors");
  }
  return platform::PinnedPeer::FromProcess(std::move(own));
}

Status CheckOpenRequest(const v1::OpenSessionRequest& request) {
  CS_RETURN_IF_ERROR(
      CheckText(request.purpose(), statement::kMaxPurposeSize, "purpose"));
  if (!request.task_id().empty()) {
    CS_RETURN_IF_ERROR(
        CheckText(request.task_id(), statement::kMaxTaskIdSize, "task_id"));
  }
  if (!request.origin().empty()) {
    CS_RETURN_IF_ERROR(CheckText(request.origin(), kMaxOriginSize, "origin"));
  }
  return {};
}

}  // namespace

void RequestHandler::OnOpenSession(const AskPtr& ask,
                                   const v1::OpenSessionRequest& request) {
  if (parts_.state.device == nullptr) {
    Refuse(ask, parts_.state.why_no_device);
    return;
  }
  const auto session = BeginSession(ask, request);
  if (!session.has_value()) {
    Refuse(ask, session.error());
    return;
  }
  const auto answer = [this, ask](const Session& open) {
    v1::Response response;
    *response.mutable_open_session()->mutable_session() =
        parts_.sessions.Info(open);
    Answer(ask, std::move(response));
  };
  if ((*session)->state == SessionState::kReserved) {
    answer(**session);
    return;
  }
  parts_.opener.Open(*session, [this, ask, answer](Result<SessionPtr> opened) {
    if (!opened.has_value()) {
      Refuse(ask, opened.error());
    } else {
      answer(**opened);
    }
  });
}

// Who is to own the session? The caller; or the process that it hands over,
// which must be above the caller or the caller's own child.
Result<SessionPtr> RequestHandler::BeginSession(
    const AskPtr& ask, const v1::OpenSessionRequest& request) {
  const platform::PinnedPeer& caller = *ask->client->caller->peer;
  const bool second_phase = !request.session_id().empty();
  if (!second_phase) CS_RETURN_IF_ERROR(CheckOpenRequest(request));
  if (request.reserve() && !second_phase) {
    return parts_.sessions.Reserve(request, caller);
  }
  if (ask->processes.size() > 1 || (second_phase && ask->processes.empty())) {
    return Fail(ErrorCode::kBadRequest,
                "exactly one process handle must come with this request");
  }
  if (ask->processes.empty()) {
    CS_ASSIGN_OR_RETURN(platform::PinnedPeer owner, PinAgain(caller));
    CS_ASSIGN_OR_RETURN(const SessionPtr session,
                        parts_.sessions.Create(request, std::move(owner)));
    session->through_relay = ask->client->caller->through_relay;
    return session;
  }
  CS_ASSIGN_OR_RETURN(
      platform::PinnedPeer owner,
      platform::PinnedPeer::FromProcess(std::move(ask->processes.front())));
  if (owner.uid() != caller.uid()) {
    return Fail(ErrorCode::kNotSessionOwner,
                "the owner must be a process of the same user");
  }
  const auto parent = owner.Parent();
  const bool is_child = parent.has_value() && parent->pid() == caller.pid() &&
                        parent->start_time() == caller.start_time();
  if (second_phase) {
    if (!is_child) {
      return Fail(ErrorCode::kNotSessionOwner,
                  "the owner must be a child of the process that reserved");
    }
    return parts_.sessions.BindReserved(request.session_id(), caller,
                                        std::move(owner));
  }
  if (!is_child) {
    CS_ASSIGN_OR_RETURN(const bool below, caller.IsDescendantOf(owner));
    if (!below) {
      return Fail(ErrorCode::kNotSessionOwner,
                  "the owner must be above the caller, or its child");
    }
  }
  CS_ASSIGN_OR_RETURN(const SessionPtr session,
                      parts_.sessions.Create(request, std::move(owner)));
  session->through_relay = !is_child;
  return session;
}

void RequestHandler::OnCloseSession(const AskPtr& ask,
                                    const v1::CloseSessionRequest& request) {
  const auto session =
      parts_.sessions.FindOfUser(request.session_id(), ask->uid);
  if (!session.has_value()) {
    Refuse(ask, session.error());
    return;
  }
  parts_.sessions.End(*session, "client_closed");
  v1::Response response;
  response.mutable_close_session();
  Answer(ask, std::move(response));
}

void RequestHandler::OnListSessions(const AskPtr& ask) {
  v1::Response response;
  auto& list = *response.mutable_list_sessions();
  for (v1::SessionInfo& info : parts_.sessions.List(ask->uid)) {
    *list.add_sessions() = std::move(info);
  }
  Answer(ask, std::move(response));
}

void RequestHandler::OnSessionOpen(const Session& session) {
  v1::WatchEvent event;
  event.set_kind("session_open");
  *event.mutable_session() = parts_.sessions.Info(session);
  Tell(session.uid, event);
}

void RequestHandler::OnSessionEnd(const SessionPtr& session, bool by_service) {
  if (session->at_service && by_service) {
    parts_.disk.Submit(
        Worker::Urgency::kNormal,
        [&journal = parts_.journal, id = session->id] {
          return journal.DropSession(id);
        },
        [](const Status&) {});
  } else if (session->at_service) {
    PendingAction end;
    end.session = session;
    end.session_end = session->end_reason;
    end.requested_at_ms = parts_.clock.NowMs();
    parts_.batcher.Add(std::move(end));
  }
  v1::WatchEvent event;
  event.set_kind("session_end");
  *event.mutable_session() = parts_.sessions.Info(*session);
  Tell(session->uid, event);
}

}  // namespace countersign::agent
