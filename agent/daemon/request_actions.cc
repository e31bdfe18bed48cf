// The verbs that use a session: actions, approvals and DPoP proofs.
#include "agent/daemon/answers.h"
#include "agent/daemon/audience.h"
#include "agent/daemon/request_handler.h"
#include "attest/statement/action_rules.h"
#include "attest/statement/statement.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxGrantSize = 16 * 1024;

Sha256Digest RequestDigest(const std::string& action_request) {
  return statement::StatementDigest(statement::StatementType::kActionRequest,
                                    AsBytes(action_request));
}

// A session's own program cannot approve what it asks for, and neither can
// what it started. A browser is the exception, since the question is asked in
// its own window: it owns the session through a relay and answers through one.
Status MayApprove(const Caller& caller, const Session& session) {
  if (!session.owner.has_value()) return Fail(ErrorCode::kSessionUnknown);
  const platform::PinnedPeer& owner = *session.owner;
  const bool is_owner = caller.peer->pid() == owner.pid() &&
                        caller.peer->start_time() == owner.start_time();
  if (is_owner && caller.through_relay && !session.origin.empty() &&
      session.owner_is == OwnerIs::kNamed) {
    return {};
  }
  CS_ASSIGN_OR_RETURN(const bool below, caller.peer->IsDescendantOf(owner));
  if (is_owner || below) {
    return Fail(ErrorCode::kNotSessionOwner,
                "a program cannot approve its own action");
  }
  return {};
}

}  // namespace

void RequestHandler::OnAuthorize(const AskPtr& ask,
                                 const v1::AuthorizeRequest& request) {
  if (parts_.state.device == nullptr) {
    Refuse(ask, parts_.state.why_no_device);
    return;
  }
  parts_.sessions.Find(request.session_id(), ask->client->caller,
                       [this, ask, request](Result<SessionPtr> session) {
                         if (session.has_value()) {
                           Authorize(ask, request, *session);
                         } else {
                           Refuse(ask, session.error());
                         }
                       });
}

void RequestHandler::Authorize(const AskPtr& ask,
                               const v1::AuthorizeRequest& request,
                               const SessionPtr& session) {
  v1::ActionRequest asked;
  asked.set_task_id(request.task_id().empty() ? session->task_id
                                              : request.task_id());
  asked.set_name(request.name());
  asked.set_resource(request.resource());
  asked.set_purpose(request.purpose().empty() ? session->purpose
                                              : request.purpose());
  asked.set_request_sha256(request.request_sha256());
  asked.set_grant_audience(request.grant_audience());
  Status valid = statement::CheckActionRequest(asked);
  const Bytes bytes = statement::SerializeStatement(asked);
  if (valid.has_value() && !FitsAction(bytes.size())) {
    valid = Fail(ErrorCode::kTooLarge, "the action is over 2 KiB");
  }
  if (valid.has_value() && request.want_bundle() && bundles_ >= kMaxBundles) {
    valid = Fail(ErrorCode::kBusy, "too many bundles are asked for");
  }
  if (!valid.has_value()) {
    Refuse(ask, valid.error());
    return;
  }
  if (request.want_bundle()) ++bundles_;
  PendingAction action;
  action.session = session;
  action.request = AsString(bytes);
  action.prove = request.want_bundle();
  const Sha256Digest digest = RequestDigest(action.request);
  if (approvals_.Use(session->id, digest, parts_.clock.MonotonicMs())) {
    v1::Approval& approval = action.approval.emplace();
    approval.set_request_digest(AsString(digest));
    approval.set_grade(kGradePrompt);
    approval.set_approver("os:" + std::to_string(session->uid));
  }
  action.requested_at_ms = parts_.clock.NowMs();
  action.done = [this, ask, request, action_request = action.request,
                 session](Result<ActionOutcome> outcome) {
    OnDecision(ask, request, action_request, session, std::move(outcome));
  };
  parts_.batcher.Add(std::move(action));
}

void RequestHandler::OnDecision(const AskPtr& ask,
                                const v1::AuthorizeRequest& request,
                                const std::string& action_request,
                                const SessionPtr& session,
                                Result<ActionOutcome> outcome) {
  if (!outcome.has_value()) {
    if (request.want_bundle()) --bundles_;
    Refuse(ask, outcome.error());
    return;
  }
  ++session->actions;
  if (outcome->decision.decision() == "approval_required" &&
      outcome->decision.approval_grade() == kGradePrompt) {
    approvals_.Asked(session->id, RequestDigest(action_request),
                     parts_.clock.MonotonicMs());
  }
  v1::AuthorizeResponse answer = ToAuthorizeResponse(*outcome, action_request);
  if (watchers_ > 0) {
    v1::WatchEvent event;
    event.set_kind("decision");
    *event.mutable_session() = parts_.sessions.Info(*session);
    *event.mutable_decision() = answer;
    // Whoever watches sees what was decided, not what it entitles to.
    event.mutable_decision()->clear_grant();
    event.mutable_decision()->clear_receipt();
    event.set_name(request.name());
    event.set_resource(request.resource());
    Tell(session->uid, event);
  }
  if (request.want_bundle() && answer.decision() == "permit") {
    SendBundle(ask, session, *outcome, std::move(answer));
    return;
  }
  if (request.want_bundle()) --bundles_;
  v1::Response response;
  *response.mutable_authorize() = std::move(answer);
  Answer(ask, std::move(response));
}

// The session's part of the Evidence lies on the disk, not in memory.
void RequestHandler::SendBundle(const AskPtr& ask, const SessionPtr& session,
                                const ActionOutcome& outcome,
                                v1::AuthorizeResponse answer) {
  parts_.disk.Submit(
      Worker::Urgency::kUrgent,
      [&journal = parts_.journal, id = session->id] {
        return journal.GetSession(id);
      },
      [this, ask, outcome, device = parts_.state.device,
       answer = std::move(answer)](Result<state::OpenSession> record) mutable {
        --bundles_;
        if (record.has_value() && device != nullptr) {
          answer.set_bundle(
              BuildBundle(*device, *record, outcome).SerializeAsString());
        }
        v1::Response response;
        *response.mutable_authorize() = std::move(answer);
        Answer(ask, std::move(response));
      });
}

void RequestHandler::OnApprove(const AskPtr& ask,
                               const v1::ApproveRequest& request) {
  Status done;
  const auto session =
      parts_.sessions.FindOfUser(request.session_id(), ask->uid);
  const auto digest =
      DigestFrom(AsBytes(request.request_digest()), "request_digest");
  if (!session.has_value()) {
    done = tl::unexpected(session.error());
  } else if (!digest.has_value()) {
    done = tl::unexpected(digest.error());
  } else {
    done = MayApprove(*ask->client->caller, **session);
    if (done.has_value()) {
      done = approvals_.Approve(request.session_id(), *digest,
                                parts_.clock.MonotonicMs());
    }
  }
  if (!done.has_value()) {
    Refuse(ask, done.error());
    return;
  }
  v1::Response response;
  response.mutable_approve();
  Answer(ask, std::move(response));
}

void RequestHandler::OnSignDpop(const AskPtr& ask,
                                const v1::SignDpopRequest& request) {
  if (parts_.state.device == nullptr) {
    Refuse(ask, parts_.state.why_no_device);
    return;
  }
  if (request.grant().size() > kMaxGrantSize) {
    Refuse(ask, {ErrorCode::kTooLarge, "grant"});
    return;
  }
  parts_.sessions.Find(request.session_id(), ask->client->caller,
                       [this, ask, request](const Result<SessionPtr>& session) {
                         if (!session.has_value()) {
                           Refuse(ask, session.error());
                         } else if (parts_.sessions.LeaseFresh(**session)) {
                           SignDpop(ask, request, *session);
                         } else {
                           RenewThenSignDpop(ask, request, *session);
                         }
                       });
}

// A proof is a use of the session like any other: not without the service's
// word that it still stands.
void RequestHandler::RenewThenSignDpop(const AskPtr& ask,
                                       const v1::SignDpopRequest& request,
                                       const SessionPtr& session) {
  PendingAction renewal;
  renewal.session = session;
  renewal.lease_only = true;
  renewal.done = [this, ask, request,
                  session](const Result<ActionOutcome>& fresh) {
    if (fresh.has_value()) {
      SignDpop(ask, request, session);
    } else {
      Refuse(ask, fresh.error());
    }
  };
  parts_.batcher.Add(std::move(renewal));
}

void RequestHandler::SignDpop(const AskPtr& ask,
                              const v1::SignDpopRequest& request,
                              const SessionPtr& session) {
  const DevicePtr device = parts_.state.device;
  if (device == nullptr) {
    Refuse(ask, parts_.state.why_no_device);
    return;
  }
  const int64_t now_s = parts_.service.ServiceNowS();
  if (!request.grant().empty()) {
    const Status allowed =
        CheckGrant(*device, *session, request.grant(), request.uri(), now_s);
    if (!allowed.has_value()) {
      Refuse(ask, allowed.error());
      return;
    }
  }
  session->key->SignDpop(
      {request.method(), request.uri(), request.grant(),
       request.server_nonce()},
      now_s, [this, ask](Result<std::string> proof) {
        if (!proof.has_value()) {
          Refuse(ask, proof.error());
          return;
        }
        v1::Response response;
        response.mutable_sign_dpop()->set_proof(*std::move(proof));
        Answer(ask, std::move(response));
      });
}

}  // namespace countersign::agent
