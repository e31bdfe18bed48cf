// A device as JSON, the same over HTTP and on the command line.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_DEVICE_JSON_H_
#define COUNTERSIGN_ATTEST_AUTHZ_DEVICE_JSON_H_

#include "attest/authz/json_writer.h"
#include "attest/authz/store.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

struct DeviceView {
  DeviceRow row;
  v1::DeviceRecord record;
  v1::HostFacts host;  // Claims.
  int64_t seen_ms = 0;
  size_t live_sessions = 0;
};
[[nodiscard]] Result<DeviceView> ViewOf(StoreView& view, DeviceRow row);

// Keys: device_id, state, ek_class, ek_trust, ek_root, tpm_manufacturer,
// tpm_model, hostname, os, ak_name, enrolled_at_ms, enrolled_index,
// revoked_index, seen_at_ms, sessions.
void WriteDevice(JsonWriter& json, const DeviceView& device);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_DEVICE_JSON_H_
