#include "attest/authz/device_json.h"

#include "attest/base/text.h"

namespace countersign::authz {

Result<DeviceView> ViewOf(StoreView& view, DeviceRow row) {
  DeviceView device;
  CS_ASSIGN_OR_RETURN(const auto ak, view.FindAk(row.ak_name));
  if (ak) device.seen_ms = ak->seen_ms;
  CS_ASSIGN_OR_RETURN(const auto live, view.LiveSessions(row.id));
  device.live_sessions = live.size();
  if (!device.record.ParseFromArray(row.record.data(),
                                    static_cast<int>(row.record.size())) ||
      !device.host.ParseFromArray(row.host.data(),
                                  static_cast<int>(row.host.size()))) {
    return Fail(ErrorCode::kStorageCorrupt, "device " + ToHex(row.id));
  }
  device.row = std::move(row);
  return device;
}

void WriteDevice(JsonWriter& json, const DeviceView& device) {
  const v1::DeviceRecord& record = device.record;
  json.BeginObject()
      .String("device_id", ToHex(device.row.id))
      .String("state", device.row.revoked ? "revoked" : "active")
      .String("ek_class", record.ek_class())
      .String("ek_trust", record.ek_trust())
      .String("ek_root", Printable(record.ek_root()))
      .String("tpm_manufacturer", Printable(record.tpm_manufacturer()))
      .String("tpm_model", Printable(record.tpm_model()))
      .String("hostname", Printable(device.host.hostname()))
      .String("os",
              Printable(device.host.os_name() + " " + device.host.os_version()))
      .String("ak_name", ToHex(device.row.ak_name))
      .Int("enrolled_at_ms", device.row.enrolled_ms)
      .Int("enrolled_index", static_cast<int64_t>(device.row.enrolled_index));
  if (device.row.revoked) {
    json.Int("revoked_index", static_cast<int64_t>(device.row.revoked_index));
  }
  json.Int("seen_at_ms", device.seen_ms)
      .Int("sessions", static_cast<int64_t>(device.live_sessions))
      .EndObject();
}

}  // namespace countersign::authz
