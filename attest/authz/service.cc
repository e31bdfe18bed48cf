#include "attest/authz/service.h"

#include "attest/authz/rate_limiter.h"
#include "attest/base/text.h"

namespace countersign::authz {

struct Findings::Limits {
  RateLimiter per_device{10, 10'000};
};

Result<StoredDevice> FindStoredDevice(const Config& config, StoreView& view,
                                      ByteSpan device_id, ByteSpan ak_name) {
  CS_ASSIGN_OR_RETURN(auto device, view.FindDevice(device_id));
  if (!device) return Fail(ErrorCode::kDeviceUnknown);
  CS_ASSIGN_OR_RETURN(auto ak, view.FindAk(ak_name));
  if (!ak || !Equal(ak->device_id, device_id)) {
    return Fail(ErrorCode::kAkNotBound, "not an AK of this device");
  }
  v1::DeviceRecord record;
  if (!record.ParseFromArray(device->record.data(),
                             static_cast<int>(device->record.size()))) {
    return Fail(ErrorCode::kStorageCorrupt, "device record");
  }
  CS_ASSIGN_OR_RETURN(auto ak_public, tpm::PublicArea::Parse(ak->public_area));
  CS_ASSIGN_OR_RETURN(const auto selection,
                      tpm::PcrSelection::FromText(record.pcr_selection()));
  verifier::KnownDevice known{.issuer = config.issuer,
                              .tenant = config.tenant,
                              .device_id = device->id,
                              .ak = std::move(ak_public),
                              .qualified_signer = ak->qualified_signer,
                              .selection = selection,
                              .out_of_service = std::nullopt};
  if (ak->retired) known.out_of_service = ErrorCode::kAkRetired;
  if (device->revoked) known.out_of_service = ErrorCode::kDeviceRevoked;
  return StoredDevice{.row = *std::move(device),
                      .ak = *std::move(ak),
                      .record = std::move(record),
                      .known = std::move(known)};
}

v1::LedgerEntry FindingEntry(v1::LedgerEntry subject, const Error& error) {
  subject.set_kind(v1::ENTRY_KIND_FINDING);
  subject.set_reason(static_cast<uint32_t>(error.code));
  subject.set_detail(Printable(error.detail));
  return subject;
}

Findings::Findings(Store& store, LedgerWriter& ledger, const Clock& clock)
    : store_(store),
      ledger_(ledger),
      clock_(clock),
      limits_(std::make_unique<Limits>()) {}

Findings::~Findings() = default;

void Findings::Record(v1::LedgerEntry subject, const Error& error) {
  if (limits_->per_device.Take(subject.device_id(), clock_.MonotonicMs()) > 0) {
    return;
  }
  v1::LedgerEntry entry = FindingEntry(std::move(subject), error);
  uint64_t index = 0;
  const Status written =
      store_.Write([&](StoreTransaction& transaction) -> Status {
        CS_ASSIGN_OR_RETURN(index, ledger_.Append(transaction, {&entry, 1}));
        return {};
      });
  // The request was refused already; a finding that could not be kept changes
  // nothing about that.
  if (written && !ledger_.Publish(index)) return;
}

}  // namespace countersign::authz
