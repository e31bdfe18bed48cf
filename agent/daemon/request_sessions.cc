// The verbs that open, close and list sessions, and what their end brings.
#include <utility>

#include "agent/daemon/request_handler.h"
#include "attest/base/text.h"
#include "attest/statement/limits.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxOriginSize = 2000;

// A second pin on the same process, to keep beyond the connection. What runs
// there must still be what connected: kPeerGone, kPeerChanged.
Result<platform::PinnedPeer> PinAgain(const platform::PinnedPeer& peer) {
  platform::OwnedHandle borrowed(peer.exit_handle());
  platform::OwnedHandle own = borrowed.Duplicate();
  (void)borrowed.Release();
  if (!own.valid()) {
    return Fail(ErrorCode::kBusy, "out of file descriptors");
  }
  auto again = platform::PinnedPeer::FromProcess(std::move(own));
  CS_RETURN_IF_ERROR(peer.Verify());
  return again;
}

// Who is to own a session, pinned as what it runs now.
struct Owner {
  platform::PinnedPeer process;
  OwnerIs is = OwnerIs::kNamed;
};

// The caller itself; or who started it, where a relay speaks for that.
Result<Owner> OwnerWhoAsks(const Caller& caller) {
  CS_ASSIGN_OR_RETURN(platform::PinnedPeer process, PinAgain(*caller.peer));
  if (caller.through_relay) {
    return Owner{std::move(process), OwnerIs::kNamed};
  }
  CS_ASSIGN_OR_RETURN(const bool has_children, process.HasChildren());
  return Owner{std::move(process),
               has_children ? OwnerIs::kAskingWithChildren : OwnerIs::kAlone};
}

// The process that the caller hands over: its own child or, where
// `above_allowed`, one that it descends from.
Result<Owner> OwnerHandedOver(const Caller& by, platform::OwnedHandle handle,
                              bool above_allowed) {
  const platform::PinnedPeer& caller = *by.peer;
  CS_ASSIGN_OR_RETURN(platform::PinnedPeer process,
                      platform::PinnedPeer::FromProcess(std::move(handle)));
  if (process.uid() != caller.uid()) {
    return Fail(ErrorCode::kNotSessionOwner,
                "the owner must be a process of the same user");
  }
  const auto parent = process.Parent();
  const bool is_child = parent.has_value() && parent->pid() == caller.pid() &&
                        parent->start_time() == caller.start_time();
  if (is_child) {
    // Asked after it was pinned: a child that is seen later is of what was
    // pinned, or it has executed something else and cannot be described.
    CS_ASSIGN_OR_RETURN(const bool has_children, process.HasChildren());
    return Owner{std::move(process), by.through_relay ? OwnerIs::kNamed
                                     : has_children
                                         ? OwnerIs::kHandedOverWithChildren
                                         : OwnerIs::kAlone};
  }
  if (!above_allowed) {
    return Fail(ErrorCode::kNotSessionOwner,
                "the owner must be a child of the process that reserved");
  }
  CS_ASSIGN_OR_RETURN(const bool below, caller.IsDescendantOf(process));
  if (!below) {
    return Fail(ErrorCode::kNotSessionOwner,
                "the owner must be above the caller, or its child");
  }
  return Owner{std::move(process), OwnerIs::kNamed};
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
  (*session)->by_relay = ask->client->caller->through_relay;
  (*session)->relay_origin = ask->client->caller->relay_origin;
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

// For the caller, or for the process that it hands over.
Result<SessionPtr> RequestHandler::BeginSession(
    const AskPtr& ask, const v1::OpenSessionRequest& request) {
  const platform::PinnedPeer& caller = *ask->client->caller->peer;
  auto processes = std::exchange(ask->processes, {});
  const bool second_phase = !request.session_id().empty();
  if (!second_phase) CS_RETURN_IF_ERROR(CheckOpenRequest(request));
  if (request.reserve() && !second_phase) {
    return parts_.sessions.Reserve(request, caller);
  }
  if (processes.size() > 1 || (second_phase && processes.empty())) {
    return Fail(ErrorCode::kBadRequest,
                "exactly one process handle must come with this request");
  }
  // Before anybody looks at processes, which takes a while.
  CS_RETURN_IF_ERROR(
      second_phase ? parts_.sessions.CheckReserved(request.session_id(), caller)
                   : parts_.sessions.CheckRoom(caller.uid()));
  CS_ASSIGN_OR_RETURN(
      Owner owner,
      processes.empty()
          ? OwnerWhoAsks(*ask->client->caller)
          : OwnerHandedOver(*ask->client->caller, std::move(processes.front()),
                            /*above_allowed=*/!second_phase));
  if (second_phase) {
    return parts_.sessions.BindReserved(request.session_id(), caller,
                                        std::move(owner.process), owner.is);
  }
  return parts_.sessions.Create(request, std::move(owner.process), owner.is);
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
  for (v1::PendingApproval& pending : approvals_.Pending(ask->uid)) {
    *list.add_pending() = std::move(pending);
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
  approvals_.DropSession(session->id);
  if (by_service && EndsLogin(session->end_reason)) {
    parts_.logins.Drop(session->uid, session->user.user_session_id());
  }
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
