// What a laptop is told of without asking anew: that sessions of its device
// have ended. It holds a request open, which is answered when there is
// something to say.
//
// The request carries an event token, which only an answer to evidence gives:
// whoever knows a device's id alone learns nothing and holds nothing open.
// State is the laptop's: it says up to which ledger index it knows, so nothing
// is lost between two requests, or two processes of the service.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_EVENTS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_EVENTS_H_

#include <chrono>

#include "attest/authz/service.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// As long as a session can live.
inline constexpr int64_t kEventTokenTtlS = 24 * 3600;
// Below what middleboxes allow a connection without traffic.
inline constexpr std::chrono::seconds kEventWait{50};

// What has ended since. Nothing may have: then it is worth waiting.
//   kBadRequest                   a field of another length
//   kNonceUnknown, kEpochExpired  the token
//   kDeviceUnknown, kDeviceRevoked
[[nodiscard]] Result<v1::EventsAnswer> EventsOf(
    const Service& service, const v1::EventsRequest& request);

// What requests of this device wait for.
[[nodiscard]] std::string EventTopic(ByteSpan device_id);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_EVENTS_H_
