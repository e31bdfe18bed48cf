#include "agent/daemon/request_handler.h"

#include <utility>

#include "attest/base/digest.h"
#include "platform/host.h"

namespace countersign::agent {
namespace {

constexpr size_t kNonceSize = 16;

}  // namespace

RequestHandler::RequestHandler(const Parts& parts)
    : parts_(parts), approvals_(parts.clock) {}
RequestHandler::~RequestHandler() = default;

Result<Bytes> RequestHandler::OnConnect(
    ConnectionId id, const platform::LocalConnection& connection) {
  if (parts_.state.draining) {
    return Fail(ErrorCode::kBusy, "the daemon is shutting down");
  }
  CS_ASSIGN_OR_RETURN(platform::PinnedPeer pinned,
                      platform::PinnedPeer::FromSocket(connection));
  const auto peer =
      std::make_shared<const platform::PinnedPeer>(std::move(pinned));
  CS_ASSIGN_OR_RETURN(CallerPtr caller, IdentifyCaller(peer));
  v1::Response greeting;
  v1::Hello& hello = *greeting.mutable_hello();
  hello.set_nonce(AsString(RandomBytes(kNonceSize)));
  hello.set_version(COUNTERSIGN_VERSION);
  CS_ASSIGN_OR_RETURN(Bytes payload,
                      EncodeResponse(greeting, Encoding::kProtobuf));
  clients_.emplace(id, std::make_shared<Client>(
                           Client{peer, std::move(caller), hello.nonce()}));
  return payload;
}

// A relay speaks for the process that started it.
Result<CallerPtr> RequestHandler::IdentifyCaller(
    const std::shared_ptr<const platform::PinnedPeer>& peer) const {
  if (!parts_.state.relays.empty()) {
    CS_ASSIGN_OR_RETURN(const auto identity, peer->Describe());
    const platform::FileIdentity program{identity.executable.device,
                                         identity.executable.inode};
    if (std::ranges::find(parts_.state.relays, program) !=
        parts_.state.relays.end()) {
      CS_ASSIGN_OR_RETURN(platform::PinnedPeer parent, peer->Parent());
      if (parent.uid() != peer->uid()) {
        return Fail(ErrorCode::kPeerIdentityUnknown,
                    "the relay was started by another user");
      }
      CS_ASSIGN_OR_RETURN(const auto arguments, peer->Arguments());
      return std::make_shared<Caller>(Caller{
          .peer =
              std::make_shared<const platform::PinnedPeer>(std::move(parent)),
          .through_relay = true,
          .relay_origin = OriginInArguments(arguments)});
    }
  }
  return std::make_shared<Caller>(Caller{.peer = peer});
}

Bytes RequestHandler::Refusal(const Error& error) {
  v1::Response response;
  *response.mutable_error() = ToErrorInfo(error);
  auto payload = EncodeResponse(response, Encoding::kProtobuf);
  return payload.has_value() ? *std::move(payload) : Bytes();
}

void RequestHandler::OnClose(ConnectionId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  if (found->second->watching) --watchers_;
  clients_.erase(found);
}

void RequestHandler::OnFrame(ConnectionId id, Frame frame) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) return;
  auto ask = std::make_shared<Ask>();
  ask->connection = id;
  ask->uid = client->second->peer->uid();
  ask->client = client->second;
  if (!outstanding_.Fits(ask->uid,
                         parts_.state.config.limits.outstanding_total)) {
    frame.over_quota = true;
  }
  outstanding_.Take(ask->uid);

  ask->encoding = EncodingOf(frame.payload);
  auto decoded = DecodeRequest(frame.payload);
  if (!decoded.has_value()) {
    Refuse(ask, decoded.error());
    return;
  }
  ask->request_id = decoded->request.request_id();
  const Status checked = CheckFrame(*ask->client, frame, decoded->request);
  if (!checked.has_value()) {
    Refuse(ask, checked.error());
    return;
  }
  // Handles that no verb wants are closed now, not with the answer.
  if (decoded->request.has_open_session()) {
    ask->processes = std::move(frame.processes);
  }
  Dispatch(ask, decoded->request);
}

// In this order: kNonceMismatch, kPeerGone, kPeerChanged, kBusy.
Status RequestHandler::CheckFrame(Client& client, const Frame& frame,
                                  const v1::Request& request) const {
  if (!ConstantTimeEqual(AsBytes(request.nonce()), AsBytes(client.nonce))) {
    return Fail(ErrorCode::kNonceMismatch);
  }
  // Once for all that arrived together: looking into /proc costs more than all
  // else that is done for a request.
  if (client.verified_read != frame.read) {
    CS_RETURN_IF_ERROR(client.peer->VerifyWriter(frame.writer));
    client.verified_read = frame.read;
  }
  if (parts_.state.draining) {
    return Fail(ErrorCode::kBusy, "the daemon is shutting down");
  }
  if (frame.over_quota) {
    return Fail(ErrorCode::kBusy, "too many requests wait for an answer");
  }
  return {};
}

void RequestHandler::Dispatch(const AskPtr& ask, const v1::Request& request) {
  switch (request.verb_case()) {
    case v1::Request::kStatus:
      return OnStatus(ask);
    case v1::Request::kOpenSession:
      return OnOpenSession(ask, request.open_session());
    case v1::Request::kCloseSession:
      return OnCloseSession(ask, request.close_session());
    case v1::Request::kListSessions:
      return OnListSessions(ask);
    case v1::Request::kAuthorize:
      return OnAuthorize(ask, request.authorize());
    case v1::Request::kSignDpop:
      return OnSignDpop(ask, request.sign_dpop());
    case v1::Request::kWatch:
      return OnWatch(ask);
    case v1::Request::kEnroll:
      return OnEnroll(ask, request.enroll());
    case v1::Request::kDoctor:
      return OnDoctor(ask);
    case v1::Request::kApprove:
      return OnApprove(ask, request.approve());
    case v1::Request::kLogin:
      return OnLogin(ask, request.login());
    case v1::Request::kLogout:
      return OnLogout(ask);
    case v1::Request::VERB_NOT_SET:
      return Refuse(ask, {ErrorCode::kNotSupported,
                          "this version knows no such request"});
  }
}

void RequestHandler::Answer(const AskPtr& ask, v1::Response response) {
  outstanding_.Give(ask->uid);
  response.set_request_id(ask->request_id);
  auto payload = EncodeResponse(response, ask->encoding);
  if (!payload.has_value()) {
    v1::Response refusal;
    refusal.set_request_id(ask->request_id);
    *refusal.mutable_error() = ToErrorInfo(payload.error());
    payload = EncodeResponse(refusal, ask->encoding);
    if (!payload.has_value()) return;
  }
  server_->Reply(ask->connection, *payload);
}

void RequestHandler::Refuse(const AskPtr& ask, const Error& error) {
  v1::Response response;
  *response.mutable_error() = ToErrorInfo(error);
  Answer(ask, std::move(response));
}

void RequestHandler::OnStatus(const AskPtr& ask) {
  v1::Response response;
  v1::StatusResponse& status = *response.mutable_status();
  status.set_version(COUNTERSIGN_VERSION);
  if (const DevicePtr& device = parts_.state.device) {
    status.set_enrolled(true);
    status.set_device_id(device->record.device_id());
    status.set_service(device->service.issuer);
    status.set_ek_class(device->record.ek_class());
    status.set_ek_trust(device->record.ek_trust());
  }
  status.set_uplink_connected(parts_.uplink.connected());
  if (const auto& error = parts_.tpm.last_error()) {
    *status.mutable_tpm_error() = ToErrorInfo(*error);
  } else if (parts_.state.device == nullptr &&
             parts_.state.why_no_device.code != ErrorCode::kNotEnrolled) {
    *status.mutable_tpm_error() = ToErrorInfo(parts_.state.why_no_device);
  } else {
    status.set_tpm_not_opened(!parts_.tpm.used());
  }
  if (!parts_.uplink.connected()) {
    *status.mutable_service_error() = ToErrorInfo({ErrorCode::kUplinkDown, {}});
  } else if (const Error* error = parts_.service.last_error()) {
    *status.mutable_service_error() = ToErrorInfo(*error);
  }
  if (const Error* refusal = parts_.service.device_refusal()) {
    *status.mutable_device_error() = ToErrorInfo(*refusal);
  }
  status.set_last_answer_ms(parts_.service.last_answer_ms());
  status.set_sessions(static_cast<uint32_t>(parts_.sessions.CountOf(ask->uid)));
  status.set_actions(parts_.batcher.next_action());
  status.set_undelivered_batches(parts_.batcher.undelivered());
  if (const state::UserLogin* login = parts_.logins.Of(ask->uid)) {
    *status.mutable_login() = Logins::Info(*login);
  }
  Answer(ask, std::move(response));
}

void RequestHandler::OnWatch(const AskPtr& ask) {
  // Events are the answer, for as long as the connection lasts; they take none
  // of what requests share.
  outstanding_.Give(ask->uid);
  if (!ask->client->watching) ++watchers_;
  ask->client->watching = true;
  ask->client->watch_id = ask->request_id;
  ask->client->watch_encoding = ask->encoding;
}

void RequestHandler::OnEnroll(const AskPtr& ask,
                              const v1::EnrollRequest& request) {
  if (ask->uid != 0 && ask->uid != platform::OwnUid()) {
    Refuse(ask, {ErrorCode::kNotAdministrator,
                 "enroll: asked by uid " + std::to_string(ask->uid)});
    return;
  }
  parts_.enroller.Enroll(request, [this, ask](Result<Enrolled> enrolled) {
    if (!enrolled.has_value()) {
      Refuse(ask, enrolled.error());
      return;
    }
    const v1::DeviceRecord& record = enrolled->device->record;
    v1::Response response;
    v1::EnrollResponse& answer = *response.mutable_enroll();
    answer.set_device_id(record.device_id());
    answer.set_ek_class(record.ek_class());
    answer.set_ek_trust(record.ek_trust());
    answer.set_ledger_index(record.ledger_index());
    parts_.on_enrolled(*std::move(enrolled));
    Answer(ask, std::move(response));
  });
}

void RequestHandler::OnDoctor(const AskPtr& ask) {
  if (!doctors_.Fits(ask->uid, kMaxDoctors)) {
    Refuse(ask, {ErrorCode::kBusy, "others are being examined"});
    return;
  }
  doctors_.Take(ask->uid);
  DoctorSubject subject;
  subject.config = &parts_.state.config;
  subject.config_error = parts_.state.config_error;
  subject.device = parts_.state.device;
  subject.why_no_device = parts_.state.why_no_device;
  subject.uplink_connected = parts_.uplink.connected();
  subject.undelivered = parts_.batcher.undelivered();
  for (const v1::SessionInfo& info : parts_.sessions.List(ask->uid)) {
    ++subject.sessions;
    if (info.lease_left_s() == 0) ++subject.stale_leases;
  }
  parts_.doctor.Examine(std::move(subject),
                        [this, ask](v1::DoctorResponse report) {
                          doctors_.Give(ask->uid);
                          v1::Response response;
                          *response.mutable_doctor() = std::move(report);
                          Answer(ask, std::move(response));
                        });
}

void RequestHandler::Tell(uint32_t uid, const v1::WatchEvent& event) {
  if (watchers_ == 0) return;
  for (const auto& [id, client] : clients_) {
    if (!client->watching || client->peer->uid() != uid) continue;
    v1::Response response;
    response.set_request_id(client->watch_id);
    *response.mutable_event() = event;
    const auto payload = EncodeResponse(response, client->watch_encoding);
    if (payload.has_value()) server_->Push(id, *payload);
  }
}

}  // namespace countersign::agent
