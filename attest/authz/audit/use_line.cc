#include "attest/authz/audit/use_line.h"

#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxShown = 8;

}  // namespace

CheckedLine UseLine(const DeviceHistory& history, const ProvenEntry& decision) {
  if (history.uses.empty()) {
    return Unknown("use", "granted, use unreported",
                   "no server has introspected or reported this grant");
  }
  std::string fact;
  bool after = true;
  for (size_t i = 0; i < history.uses.size(); ++i) {
    const ProvenEntry& use = history.uses[i];
    after = after && use.index > decision.index;
    if (i == kMaxShown) fact += "; and more";
    if (i >= kMaxShown) continue;
    fact += (i == 0 ? "" : "; ") + Printable(use.entry.detail()) + " (entry " +
            std::to_string(use.index) + ")";
  }
  return Line("use", after, std::move(fact),
              "each entry is proven, and comes after this decision");
}

}  // namespace countersign::authz
