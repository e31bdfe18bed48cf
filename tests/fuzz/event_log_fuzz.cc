// TCG event logs: bounded, and events that lie within the input.
#include "attest/tpm/event_log.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const auto log = tpm::EventLog::Parse({data, size});
  if (!log) {
    FuzzCheck(log.error().code == ErrorCode::kEventLogMalformed);
    return 0;
  }
  FuzzCheck(log->events().size() <= tpm::kMaxEvents);
  for (const tpm::Event& event : log->events()) {
    FuzzCheck(event.pcr < tpm::kPcrCount || event.type == tpm::kEvNoAction);
    FuzzCheck(event.data.data() >= data &&
              event.data.data() + event.data.size() <= data + size);
  }
  static_cast<void>(log->Replay());
  return 0;
}
