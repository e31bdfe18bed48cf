#include "attest/authz/device_identity.h"

#include <algorithm>

namespace countersign::authz {
namespace {

// The device at which `name` is proven, or nothing.
Result<std::optional<Bytes>> ProvenAt(StoreView& view, ByteSpan name) {
  CS_ASSIGN_OR_RETURN(const auto holds, view.FindEk(name));
  for (const EkRow& hold : holds) {
    if (hold.proven) return std::optional<Bytes>(hold.device_id);
  }
  return std::optional<Bytes>();
}

Result<std::optional<DeviceRow>> Found(StoreView& view, const Bytes& id) {
  CS_ASSIGN_OR_RETURN(auto device, view.FindDevice(id));
  if (!device) return Fail(ErrorCode::kStorageCorrupt, "EK without device");
  return device;
}

tl::unexpected<Error> Conflict(const Bytes& with, Bytes* holder,
                               std::string what) {
  *holder = with;
  return Fail(ErrorCode::kDeviceIdentityConflict, std::move(what));
}

}  // namespace

Result<std::optional<DeviceRow>> IdentifyDevice(StoreView& view,
                                                ByteSpan certified,
                                                std::span<const Bytes> others,
                                                Bytes* holder) {
  std::vector<Bytes> proven_by_others;
  for (const Bytes& other : others) {
    CS_ASSIGN_OR_RETURN(const auto at, ProvenAt(view, other));
    if (at) proven_by_others.push_back(*at);
  }
  CS_ASSIGN_OR_RETURN(const auto own, ProvenAt(view, certified));
  if (own) {
    for (const Bytes& at : proven_by_others) {
      if (at != *own) {
        return Conflict(at, holder, "another EK of the request is its EK");
      }
    }
    return Found(view, *own);
  }
  CS_ASSIGN_OR_RETURN(const auto claims, view.FindEk(certified));
  if (claims.empty()) {
    if (proven_by_others.empty()) return std::optional<DeviceRow>();
    return Conflict(proven_by_others.front(), holder,
                    "another EK of the request is its EK, and it never named "
                    "this one");
  }
  if (claims.size() == 1) {
    const Bytes& claimant = claims.front().device_id;
    const bool mutual =
        !proven_by_others.empty() &&
        std::ranges::all_of(proven_by_others, [&claimant](const Bytes& at) {
          return at == claimant;
        });
    if (mutual) return Found(view, claimant);
  }
  return Conflict(claims.front().device_id, holder,
                  "it named this EK as its own without having proven it");
}

}  // namespace countersign::authz
