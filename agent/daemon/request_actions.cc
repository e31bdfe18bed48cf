// The verbs that use a session: actions and DPoP proofs.
#include "agent/daemon/answers.h"
#include "agent/daemon/audience.h"
#include "agent/daemon/request_handler.h"
#include "attest/statement/action_rules.h"
#include "attest/statement/statement.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxGrantSize = 16 * 1024;

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
    valid = Fail(ErrorCode::kTooLarge,
                 "the action is over 2 KiB, approval included");
  }
  if (valid.has_value() && request.want_bundle() &&
      !bundles_.Fits(ask->uid, kMaxBundles)) {
    valid = Fail(ErrorCode::kBusy, "too many bundles are asked for");
  }
  if (!valid.has_value()) {
    Refuse(ask, valid.error());
    return;
  }
  if (request.want_bundle()) bundles_.Take(ask->uid);
  PendingAction action;
  action.session = session;
  action.request = AsString(bytes);
  if (!approvals_.empty()) {
    action.approval = approvals_.Take(
        session->id, AsString(statement::StatementDigest(
                         statement::StatementType::kActionRequest, bytes)));
  }
  action.prove = request.want_bundle();
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
    if (request.want_bundle()) bundles_.Give(ask->uid);
    Refuse(ask, outcome.error());
    return;
  }
  ++session->actions;
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
  if (answer.decision() == "approval_required" &&
      answer.approval_grade() == kGradePrompt) {
    const Status asked = AskUser(*session, action_request, answer);
    if (!asked.has_value()) {
      if (request.want_bundle()) bundles_.Give(ask->uid);
      Refuse(ask, asked.error());
      return;
    }
  }
  if (request.want_bundle() && answer.decision() == "permit") {
    SendBundle(ask, session, *outcome, std::move(answer));
    return;
  }
  if (request.want_bundle()) bundles_.Give(ask->uid);
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
        bundles_.Give(ask->uid);
        if (record.has_value() && device != nullptr) {
          answer.set_bundle(
              BuildBundle(*device, *record, outcome).SerializeAsString());
        }
        v1::Response response;
        *response.mutable_authorize() = std::move(answer);
        Answer(ask, std::move(response));
      });
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
  const Status allowed = request.grant().empty()
                             ? CheckOAuthEndpoint(*device, request.uri())
                             : CheckGrant(*device, *session, request.grant(),
                                          request.uri(), now_s);
  if (!allowed.has_value()) {
    Refuse(ask, allowed.error());
    return;
  }
  session->key->SignDpop(
      {request.method(), request.uri(), request.grant(),
       request.server_nonce()},
      now_s,
      [this, ask, session,
       for_service = request.grant().empty()](Result<std::string> proof) {
        if (!proof.has_value()) {
          Refuse(ask, proof.error());
          return;
        }
        v1::Response response;
        v1::SignDpopResponse& signed_proof = *response.mutable_sign_dpop();
        signed_proof.set_proof(*std::move(proof));
        if (for_service) {
          signed_proof.set_client_attestation(session->client_attestation);
        }
        Answer(ask, std::move(response));
      });
}

}  // namespace countersign::agent
