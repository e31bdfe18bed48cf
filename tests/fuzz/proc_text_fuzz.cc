// What /proc says of a process that chose its own name and cgroup. The parsed
// values must be such as a log and a policy may hold.

#include <cstdlib>

#include "attest/base/text.h"
#include "platform/linux/proc_text.h"

using namespace countersign;            // NOLINT
using namespace countersign::platform;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ParseStat(text);
  (void)ParseStatus(text);
  (void)LoadsForeignCode(text);
  const ProcCgroup cgroup = ParseCgroup(text);
  for (const std::string& unit : {cgroup.unit, cgroup.user_unit}) {
    if (!unit.empty() && !CheckText(unit, 256, "unit")) std::abort();
  }
  const std::string& id = cgroup.container_id;
  if (!id.empty() &&
      (id.size() != 64 ||
       id.find_first_not_of("0123456789abcdef") != std::string::npos)) {
    std::abort();
  }
  return 0;
}
