#include "attest/authz/revocation.h"

#include "attest/authz/session_end.h"
#include "attest/base/text.h"

namespace countersign::authz {

Result<uint64_t> RevokeDevice(Store& store, LedgerWriter& ledger,
                              const Clock& clock, ByteSpan device_id,
                              std::string_view reason) {
  uint64_t index = 0;
  const auto revoke = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(auto device, transaction.FindDevice(device_id));
    if (!device) return Fail(ErrorCode::kDeviceUnknown);
    if (device->revoked) {
      index = device->revoked_index;
      return {};
    }
    v1::LedgerEntry entry;
    entry.set_kind(v1::ENTRY_KIND_REVOCATION);
    entry.set_device_id(AsString(device->id));
    entry.set_refers_to(device->enrolled_index + 1);
    entry.set_detail(Printable(reason));
    CS_ASSIGN_OR_RETURN(index, ledger.Append(transaction, {&entry, 1}));
    device->revoked = true;
    device->revoked_index = index;
    CS_RETURN_IF_ERROR(transaction.PutDevice(*device));
    return EndSessions(ledger, transaction, device_id, clock.NowMs(),
                       [](const SessionRow&) { return kEndDeviceRevoked; });
  };
  CS_RETURN_IF_ERROR(store.Write(revoke));
  CS_RETURN_IF_ERROR(ledger.Publish(index));
  return index;
}

}  // namespace countersign::authz
