#include "attest/authz/grant_life.h"

namespace countersign::authz {

Status CheckGrantLive(const Service& service, StoreView& view,
                      const SessionRow& session, uint64_t ledger_index) {
  CS_ASSIGN_OR_RETURN(const StoredDevice device,
                      FindStoredDevice(service.config, view, session.device_id,
                                       session.ak_name));
  if (device.known.out_of_service) return Fail(*device.known.out_of_service);
  if (session.ended()) return Fail(ErrorCode::kSessionEnded);
  if (session.expires_ms <= service.clock.NowMs()) {
    return Fail(ErrorCode::kSessionExpired);
  }
  CS_ASSIGN_OR_RETURN(const auto revocation,
                      view.FindGrantRevocation(ledger_index));
  if (revocation) return Fail(ErrorCode::kGrantRevoked);
  return {};
}

}  // namespace countersign::authz
