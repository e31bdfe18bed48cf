#include "attest/authz/events.h"

namespace countersign::authz {
namespace {

constexpr size_t kIdSize = 16;
constexpr int kMostEnds = 256;

}  // namespace

Result<v1::EventsAnswer> EventsOf(const Service& service,
                                  const v1::EventsRequest& request) {
  const ByteSpan device_id = AsBytes(request.device_id());
  if (device_id.size() != kIdSize) {
    return Fail(ErrorCode::kBadRequest, "device_id is not 16 bytes");
  }
  if (request.request_nonce().size() != kIdSize) {
    return Fail(ErrorCode::kBadRequest, "request_nonce is not 16 bytes");
  }
  const int64_t now_ms = service.clock.NowMs();
  CS_RETURN_IF_ERROR(service.event_tokens.Check(
      device_id, AsBytes(request.event_token()), now_ms));
  v1::EventsAnswer answer;
  answer.set_up_to_index(request.after_index());
  CS_RETURN_IF_ERROR(service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto device, view.FindDevice(device_id));
    if (!device) return Fail(ErrorCode::kDeviceUnknown);
    if (device->revoked) return Fail(ErrorCode::kDeviceRevoked);
    CS_ASSIGN_OR_RETURN(
        const auto ended,
        view.SessionsEndedAfter(request.after_index(), device_id, kMostEnds));
    for (const SessionRow& session : ended) {
      v1::Lease& lease = *answer.add_ended();
      lease.set_session_id(AsString(session.id));
      lease.set_ended(session.end_reason);
      answer.set_up_to_index(session.end_index);
    }
    return {};
  }));
  answer.set_event_token(
      AsString(service.event_tokens.Mint(device_id, now_ms)));
  return answer;
}

std::string EventTopic(ByteSpan device_id) { return AsString(device_id); }

}  // namespace countersign::authz
