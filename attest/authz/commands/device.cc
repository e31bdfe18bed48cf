// countersign-authz device: the devices and their revocation.
#include <CLI/CLI.hpp>
#include <memory>

#include "attest/authz/commands/commands.h"
#include "attest/authz/device_json.h"
#include "attest/authz/revocation.h"

namespace countersign::authz {
namespace {

constexpr int kPage = 500;

Result<Bytes> DeviceId(const std::string& hex) {
  auto id = FromHex(hex);
  if (!id || id->size() != 16) {
    return Fail(ErrorCode::kBadRequest, "a device id is 32 hex digits");
  }
  return id;
}

Result<std::vector<DeviceView>> Devices(Installation& service) {
  std::vector<DeviceView> devices;
  const auto list = [&](StoreView& view) -> Status {
    Bytes after;
    while (true) {
      CS_ASSIGN_OR_RETURN(auto rows, view.ListDevices(after, kPage));
      if (rows.empty()) return {};
      after = rows.back().id;
      for (DeviceRow& row : rows) {
        CS_ASSIGN_OR_RETURN(DeviceView device, ViewOf(view, std::move(row)));
        devices.push_back(std::move(device));
      }
    }
  };
  CS_RETURN_IF_ERROR(service.store().Read(list));
  return devices;
}

Result<int> List(Installation& service, const Console& console) {
  CS_ASSIGN_OR_RETURN(const auto devices, Devices(service));
  if (console.json()) {
    JsonWriter json;
    json.BeginObject().BeginArray("devices");
    for (const DeviceView& device : devices) WriteDevice(json, device);
    json.EndArray().EndObject();
    console.PrintRaw(json.text());
    return 0;
  }
  for (const DeviceView& device : devices) {
    console.Print(ToHex(device.row.id) + "  " +
                  (device.row.revoked ? "revoked" : "active ") + "  " +
                  device.record.ek_class() + "/" + device.record.ek_trust() +
                  "  " + device.host.hostname() + "  seen " +
                  TimeText(device.seen_ms));
  }
  if (devices.empty()) console.Note("No device has enrolled yet.");
  return 0;
}

Result<int> Show(Installation& service, const Console& console,
                 const std::string& id) {
  CS_ASSIGN_OR_RETURN(const Bytes device_id, DeviceId(id));
  std::optional<DeviceView> device;
  const auto find = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(auto row, view.FindDevice(device_id));
    if (!row) return Fail(ErrorCode::kNotFound, "device " + id);
    CS_ASSIGN_OR_RETURN(device, ViewOf(view, *std::move(row)));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Read(find));
  if (console.json()) {
    JsonWriter json;
    WriteDevice(json, *device);
    console.PrintRaw(json.text());
    return 0;
  }
  const v1::DeviceRecord& record = device->record;
  console.Heading("Device " + id);
  console.Field("state", device->row.revoked
                             ? "revoked by ledger entry " +
                                   std::to_string(device->row.revoked_index)
                             : "active");
  console.Field("TPM", record.ek_class() + ", trusted by " + record.ek_trust() +
                           " " + record.tpm_manufacturer() + " " +
                           record.tpm_model());
  console.Field("EK root", record.ek_root());
  console.Field("boot PCRs", record.pcr_selection());
  console.Field("host", device->host.hostname() + " (as it says itself)");
  console.Field("AK", ToHex(device->row.ak_name));
  console.Field("enrolled", TimeText(device->row.enrolled_ms) +
                                ", ledger entry " +
                                std::to_string(device->row.enrolled_index));
  console.Field("seen", TimeText(device->seen_ms));
  console.Field("sessions", std::to_string(device->live_sessions) + " open");
  return 0;
}

Result<int> Revoke(Installation& service, const Console& console,
                   const std::string& id, const std::string& reason) {
  CS_ASSIGN_OR_RETURN(const Bytes device_id, DeviceId(id));
  CS_RETURN_IF_ERROR(service.ledger().CheckHead());
  const Result<uint64_t> revoked =
      RevokeDevice(service.store(), service.ledger(), service.clock(),
                   device_id, reason + ", by " + LocalActor());
  if (!revoked && revoked.error().code == ErrorCode::kDeviceUnknown) {
    return Fail(ErrorCode::kNotFound, "device " + id);
  }
  CS_ASSIGN_OR_RETURN(const uint64_t index, revoked);
  if (console.json()) {
    JsonWriter json;
    json.BeginObject()
        .String("device_id", id)
        .String("state", "revoked")
        .Int("revoked_index", static_cast<int64_t>(index))
        .EndObject();
    console.PrintRaw(json.text());
    return 0;
  }
  console.Print("Revoked: ledger entry " + std::to_string(index) +
                ". Its sessions have ended, and it cannot enroll again.");
  return 0;
}

}  // namespace

void AddDevice(CLI::App& app, Context& context) {
  CLI::App* device =
      app.add_subcommand("device", "List, show and revoke devices");
  device->footer("countersign-authz device list");
  device->require_subcommand(1);
  struct Options {
    std::string id;
    std::string reason = "administrator";
  };
  auto options = std::make_shared<Options>();

  CLI::App* list = device->add_subcommand("list", "List all devices");
  list->footer("countersign-authz device list");
  list->callback([&context] {
    context.Run(
        [&](Installation& service) { return List(service, context.console); });
  });

  CLI::App* show = device->add_subcommand("show", "Show one device");
  show->footer(
      "countersign-authz device show 0f8fad5bd9cb469fa16570867728950e");
  show->add_option("ID", options->id, "Device id")->required();
  show->callback([&context, options] {
    context.Run([&](Installation& service) {
      return Show(service, context.console, options->id);
    });
  });

  CLI::App* revoke = device->add_subcommand(
      "revoke", "Revoke a device: its sessions end, its chip stays out");
  revoke->footer(
      "countersign-authz device revoke 0f8fad5bd9cb469fa16570867728950e "
      "--reason \"laptop lost\"");
  revoke->add_option("ID", options->id, "Device id")->required();
  revoke->add_option("--reason", options->reason, "Noted in the ledger")
      ->type_name("TEXT");
  revoke->callback([&context, options] {
    context.Run([&](Installation& service) {
      return Revoke(service, context.console, options->id, options->reason);
    });
  });
}

}  // namespace countersign::authz
